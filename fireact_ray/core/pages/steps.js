"use strict";
// Steps of a trajectory: what was thought, done and found, and what it took.

function drawStep(step, n, { terms = [], isTrained = false, differs = false, verdict = "" }) {
  const said = h("div", isTrained ? "said trained" : "said");
  if (step.thought) said.append(h("p", "thought", ...marked(step.thought, terms)));
  if (step.tool) said.append(drawAction(step, terms, verdict));
  else said.append(h("p", "no-action", "No usable action in this reply."));
  const parts = [said];
  if (step.reasoning) parts.push(folded("Hidden reasoning, never trained", step.reasoning, terms));
  if (step.received) parts.push(folded("Reply as received", step.received, terms));
  if (step.observation) {
    const status = step.status === "ok" ? "" : step.status === "empty" ? "nothing found" : "error";
    const shown = h("div", "observation", clippable(step.observation, terms));
    if (status) shown.prepend(h("span", `status ${step.status}`, status));
    parts.push(shown);
  }
  parts.push(drawMeasures(step));
  const item = h("li", "step", differs ? h("p", "differs", "They differ from here") : null, ...parts.filter(Boolean));
  item.dataset.number = n + 1;
  return item;
}

function drawAction(step, terms, verdict) {
  const isAnswer = step.tool === "finish";
  const label = isAnswer ? "Answer" : step.tool;
  const action = h("p", isAnswer ? "action answer" : "action");
  action.append(h("span", "tool", label), h("span", "argument", ...marked(step.argument || "", terms)));
  if (isAnswer && verdict) action.append(badge(verdict));
  return action;
}

function drawMeasures(step) {
  const parts = [];
  if (step.model_s) parts.push(`model ${secondsText(step.model_s)}`);
  if (step.tool_s) parts.push(`search ${secondsText(step.tool_s)}`);
  if (step.prompt || step.completion) {
    parts.push(`${numberText(step.prompt || 0)} + ${numberText(step.completion || 0)} tokens`);
  }
  if (step.cost) parts.push(usdText(step.cost));
  if (step.repairs) parts.push(`read as ${step.repairs.join(", ")}`);
  return parts.length ? h("p", "cost", ...parts.map((part) => h("span", "", part))) : null;
}

// What is known of a trajectory by name; what is empty is left out.
function measures(facts) {
  const shown = facts.filter(([, value]) => value);
  return h("dl", "measures", ...shown.map(([name, value]) => h("div", "", h("dt", "", name), h("dd", "", value))));
}

// The first step at which two trajectories do something else; -1 where there is none, or only one to look at.
function differsFrom(trajectories) {
  if (trajectories.length < 2) return -1;
  const [a, b] = trajectories.map((steps) => steps.map((step) => `${step.tool} ${step.argument}`));
  const at = Array.from({ length: Math.max(a.length, b.length) }, (_, n) => n).find((n) => a[n] !== b[n]);
  return at ?? -1;
}
