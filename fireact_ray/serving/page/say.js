"use strict";
// What happens, in words for whoever listens instead of looking.

const MOST_SAID = 6;

// Says each step of a run once, and its end; called after everything that came.
function hearing(run, isCompared) {
  let nSaid = 0;
  let isOver = false;
  return () => {
    const steps = run.steps.filter((step) => !step.isOpen);
    for (; nSaid < steps.length; nSaid += 1) say(run, stepWords(steps[nSaid], nSaid), isCompared);
    if (run.ended && !isOver) say(run, endWords(run), isCompared);
    isOver = run.ended;
  };
}

function stepWords(step, n) {
  const found = step.status === "ok" ? "found something" : step.status === "empty" ? "found nothing" : "failed";
  const did = step.tool ? `${step.tool} ${step.argument}` : "no usable action";
  return `Step ${n + 1}: ${step.thought} ${did}${step.observation ? `, ${found}` : ""}.`;
}

function endWords(run) {
  return run.answer === null ? `No answer. ${reasonOf(run)}` : `Answer: ${run.answer}`;
}

function say(run, text, isCompared) {
  const who = isCompared ? `${run.model}: ` : "";
  $("said").append(h("span", "", visible(`${who}${text} `)));
  while ($("said").childElementCount > MOST_SAID) $("said").firstChild.remove();
}
