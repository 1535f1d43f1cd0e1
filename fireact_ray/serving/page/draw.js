"use strict";
// One question and its answers, drawn again as they grow: what has not changed stays the element that it is.

const STOPS = {
  max_steps: "It took all the steps that it may take and had no answer.",
  parse_error: "Too many of its replies held no action that could be used.",
  max_tokens: "The question and what was found became longer than the model can read.",
  max_cost_usd: "It spent what it may spend.",
  timeout: "It took longer than it may take.",
  stopped: "You stopped it.",
  broken: "The connection ended before the answer. What arrived until then is below.",
};
const SHORT = {
  max_steps: "out of steps",
  parse_error: "replies not usable",
  max_tokens: "too long to read",
  max_cost_usd: "out of money",
  timeout: "out of time",
  stopped: "stopped",
  broken: "connection lost",
};

let view = null; // of the entry that is open

function stateOf(run) {
  if (!run.ended) return "running";
  if (run.answer !== null) return "answered";
  return run.stop === "stopped" ? "stopped" : "failed";
}

function shortReason(run) {
  return SHORT[run.stop] || "no answer";
}

// `actions`: again, follow, download, copy.
function showEntry(entry, actions) {
  if (!entry) {
    view = null;
    document.body.classList.remove("comparing");
    $("card").replaceChildren();
    return;
  }
  const sides = entry.runs.map((run) => sideOf(run, entry, actions));
  const isCompared = sides.length > 1;
  const follow = actionButton("Ask a follow-up", () => actions.follow(entry));
  view = { entry, sides, follow };
  document.body.classList.toggle("comparing", isCompared);
  $("card").replaceChildren(
    headOf(entry, isCompared, actions, follow),
    h("div", isCompared ? "sides two" : "sides", ...sides.map((side) => side.section)),
  );
  redraw();
}

function headOf(entry, isCompared, actions, follow) {
  const when = new Date(entry.at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const faults = entry.faults ? h("span", "faulty", `search faults: ${visible(faultWords(entry.faults))}`) : null;
  const model = isCompared ? null : h("span", "", visible(entry.runs[0].model));
  const again = actionButton("Ask again", () => actions.again(entry));
  return h("header", "asking", drawEarlier(entry.runs), h("h2", "question", visible(entry.question)),
    h("p", "place", model, h("span", "", when), faults, again, follow));
}

function sideOf(run, entry, actions) {
  const parts = {
    verdict: h("div", "verdict"),
    facts: h("div", "facts-of"),
    steps: h("ol", "steps"),
    thinking: h("p", "waiting thinking", "thinking"),
    foot: h("p", "foot"),
    drawn: [],
  };
  const name = entry.runs.length > 1 ? h("h3", "system", h("span", "", visible(run.model))) : null;
  const body = h("div", "", parts.steps, parts.thinking, parts.foot);
  parts.section = h("section", "side", name, parts.verdict, parts.facts, body);
  parts.section.setAttribute("aria-label", `Answer of ${run.model}`);
  parts.actions = () => [
    actionButton("Download JSON", () => actions.download(entry, run)),
    actionButton("Copy JSON", (button) => actions.copy(entry, run, button)),
  ];
  return parts;
}

function actionButton(text, act) {
  const button = h("button", "link", text);
  button.type = "button";
  button.addEventListener("click", () => act(button));
  return button;
}

function redraw() {
  if (!view) return;
  const { entry, sides } = view;
  const isOver = entry.runs.every((run) => run.ended);
  const differs = isOver ? differsFrom(entry.runs.map((run) => run.steps)) : -1;
  view.follow.hidden = !isOver || !canBeFollowed(entry);
  entry.runs.forEach((run, n) => drawRun(run, sides[n], differs));
}

function drawRun(run, side, differs) {
  drawVerdict(run, side);
  drawFacts(run, side);
  run.steps.forEach((step, n) => drawStepOf(run, side, n, n === differs));
  const open = run.ended ? undefined : run.steps.at(-1);
  const isSearching = Boolean(open?.isOpen);
  side.thinking.hidden = run.ended || isSearching;
  if (isSearching && side.searching) side.searching.textContent = `searching ${sinceText(open.begun)}`;
  side.foot.replaceChildren(...(canBeTaken(run) ? side.actions() : []));
}

function drawStepOf(run, side, n, isDifferent) {
  const step = run.steps[n];
  const drawn = side.drawn[n];
  if (drawn && drawn.step === step && drawn.isDifferent === isDifferent) return;
  const item = drawStep(shownStep(step), n, { differs: isDifferent });
  if (step.isOpen && step.tool) {
    side.searching = h("p", "waiting", "searching");
    item.append(side.searching);
  }
  if (drawn) drawn.item.replaceWith(item);
  else side.steps.append(item);
  item.classList.toggle("new", !drawn && !run.ended);
  side.drawn[n] = { step, isDifferent, item };
}

function drawVerdict(run, side) {
  const state = stateOf(run);
  const key = `${state} ${run.answer}`;
  if (side.verdictKey === key) return;
  side.verdictKey = key;
  side.verdict.className = `verdict ${state}`;
  side.verdict.replaceChildren(...verdictParts(run, state));
}

function verdictParts(run, state) {
  if (state === "running") return [h("p", "label", "Working")];
  const ignored = Object.entries(run.ignored).map(([name, why]) =>
    h("p", "not-done", visible(`Not done: ${name} (${why})`)));
  if (state === "answered") return [h("p", "label", "Answer"), h("p", "final", visible(run.answer)), ...ignored];
  const what = run.stop === "stopped" ? "Stopped" : "No answer";
  return [h("p", "label", what), h("p", "why", visible(reasonOf(run))), ...ignored];
}

// Why there is no answer, in words.
function reasonOf(run) {
  return run.error || STOPS[run.stop] || `It ended without one: ${run.stop.replaceAll("_", " ")}.`;
}

function drawFacts(run, side) {
  const searches = run.steps.filter((step) => step.tool === "search").length;
  const { prompt, completion, cost, isLeast } = totalsOf(run);
  const unknown = run.ended ? UNKNOWN : "";
  const least = run.ended && isLeast ? "at least " : "";
  side.facts.replaceChildren(measures([
    ["time", run.ended ? secondsText(run.seconds) : sinceText(run.begun)],
    ["steps", String(run.steps.length)],
    ["searches", String(searches)],
    ["tokens", prompt !== null ? `${least}${numberText(prompt)} + ${numberText(completion)}` : unknown],
    ["cost", cost !== null ? least + usdText(cost) : unknown],
  ]), drawTimeline(run.steps));
}

function sinceText(begun) {
  return `${((Date.now() - begun) / 1000).toFixed(1)} s`;
}

function shownStep(step) {
  const texts = ["thought", "tool", "argument", "received", "reasoning", "observation"];
  const shown = { ...step };
  for (const name of texts) if (shown[name]) shown[name] = visible(shown[name]);
  if (step.repairs) shown.repairs = step.repairs.map(visible);
  return shown;
}
