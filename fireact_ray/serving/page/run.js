"use strict";
// One question to one agent: events in, a run out that is looked at, listed and taken away.

function newRun(model) {
  return {
    model, begun: Date.now(), ended: false, steps: [], answer: null, stop: "", error: "",
    seconds: null, prompt: null, completion: null, cost: null, trajectory: null,
  };
}

const FAULTS = {
  none: "half find nothing",
  random: "half find something else",
  stale: "half find what the last one found",
  distractor: "half find what is beside it",
  latency: "half are slow",
  error: "half fail",
};

function faultWords(kind) {
  return FAULTS[kind] || kind;
}

function endRun(run, stop, error = "") {
  Object.assign(run, { ended: true, stop, error, seconds: (Date.now() - run.begun) / 1000 });
  run.steps = run.steps.map((step) => (step.isOpen ? { ...step, isOpen: false } : step));
}

function applyEvent(run, event) {
  if (event.type === "fireact.step") run.steps.push(bodyOf(event.step));
  if (event.type === "fireact.trajectory") {
    const t = event.trajectory;
    run.trajectory = t;
    run.cost = t.cost_usd;
    run.prompt = t.steps.reduce((n, s) => n + s.usage.prompt_tokens, 0);
    run.completion = t.steps.reduce((n, s) => n + s.usage.completion_tokens, 0);
    run.answer = t.steps.at(-1)?.action?.tool === "finish" ? t.steps.at(-1).action.argument : null;
    endRun(run, t.stop_reason, t.error || "");
  }
}

function bodyOf(step) {
  return {
    thought: step.thought, tool: step.action?.tool || "", argument: step.action?.argument || "",
    observation: step.observation?.text || "", status: step.observation?.status || "",
    reasoning: step.reasoning, repairs: step.repairs.length ? step.repairs : undefined,
    model_s: step.model_latency_s, tool_s: step.tool_latency_s,
    prompt: step.usage.prompt_tokens, completion: step.usage.completion_tokens, cost: step.cost_usd,
  };
}

function requestOf(model, question, faults) {
  return { model, input: question, stream: true, ...(faults ? { metadata: { fireact_search_faults: faults } } : {}) };
}
