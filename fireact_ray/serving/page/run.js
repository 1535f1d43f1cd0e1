"use strict";
// One question to one agent: the events of /v1/responses in, a run out that is looked at, listed and taken away.

const FAULTS = {
  none: "half find nothing",
  random: "half find something else",
  error: "half fail",
  stale: "half find what the last one found",
  distractor: "half find what lies beside it",
  latency: "half are slow",
};

function faultWords(kind) {
  return FAULTS[kind] || kind;
}

function requestOf(run, question, faults) {
  const options = { trajectory: true, ...(faults ? { faults: { kind: faults } } : {}) };
  return { model: run.model, input: inputOf(question, run.earlier), stream: true, fireact: options };
}

// `stop`: why it ended, as a trajectory says it, or one of the page's own: stopped, broken, refused, failed. `error`:
// in the server's words. `earlier`: pairs of question and answer that it is told. `ignored`: what of the request was not
// done, by field. What nobody has measured is null.
function newRun(model, earlier = [], method = "") {
  return {
    model, method, earlier, id: "", begun: Date.now(), ended: false, steps: [], answer: null, stop: "", error: "",
    seconds: null, prompt: null, completion: null, cost: null, trajectory: null, ignored: {},
  };
}

// What all of it took, as the response says; until it does, and where it never did, what the whole steps say: that `isLeast`.
function totalsOf(run) {
  const told = { prompt: run.prompt, completion: run.completion, cost: run.cost, isLeast: false };
  const whole = wholeSteps(run);
  if (run.prompt !== null || !whole.length) return told;
  const sum = (name) => whole.reduce((total, step) => total + step[name], 0);
  const isPriced = whole.every((step) => step.cost !== null);
  return { prompt: sum("prompt"), completion: sum("completion"), cost: isPriced ? sum("cost") : null, isLeast: true };
}

function endRun(run, stop, error = "") {
  Object.assign(run, { ended: true, stop, error, seconds: (Date.now() - run.begun) / 1000 });
  run.steps = run.steps.map((step) => (step.isOpen ? { ...step, isOpen: false } : step));
}

function applyEvent(run, event) {
  const act = EVENTS[event.type];
  if (act) act(run, event);
}

const EVENTS = {
  "response.created": (run, { response }) => (run.id = response.id),
  "response.output_item.added": (run, { item }) => {
    if (item.type === "file_search_call") growStep(run, { tool: "search", argument: item.queries.join(" ") });
  },
  "response.output_item.done": (run, { item }) => {
    if (item.type === "reasoning") growStep(run, { thought: item.summary.map((part) => part.text).join("\n") });
    if (item.fireact) growStep(run, { ...factsOf(item.fireact), isOpen: false, isWhole: true });
  },
  "response.completed": (run, { response }) => {
    run.answer = response.output.filter((item) => item.type === "message").map(textOf).join("\n");
    endWith(run, response, "finished");
  },
  "response.incomplete": (run, { response }) => endWith(run, response, "failed"),
  "response.failed": (run, { response }) => endWith(run, response, "failed", response.error.message),
  error: (run, event) => endRun(run, "failed", event.message || event.error?.message || ""),
};

function textOf(message) {
  return message.content.map((part) => part.text).join("");
}

// The step that is under way, or a new one; a step is never changed, but replaced by one that knows more.
function growStep(run, told) {
  const last = run.steps.at(-1);
  if (last?.isOpen) run.steps[run.steps.length - 1] = { ...last, ...told };
  else run.steps.push({ isOpen: true, begun: Date.now(), thought: "", tool: "", argument: "", ...told });
}

function factsOf(facts) {
  return {
    tool: facts.action?.tool || "",
    argument: facts.action?.argument || "",
    observation: facts.observation?.text || "",
    status: facts.observation?.status || "",
    model_s: facts.model_seconds,
    tool_s: facts.tool_seconds,
    prompt: facts.usage.prompt_tokens,
    completion: facts.usage.completion_tokens,
    cost: facts.cost_usd,
  };
}

function endWith(run, response, stop, error = "") {
  const { usage, fireact } = response;
  if (usage) {
    Object.assign(run, { prompt: usage.input_tokens, completion: usage.output_tokens, cost: usage.cost_usd ?? null });
  }
  run.trajectory = fireact?.trajectory || null;
  run.ignored = fireact?.ignored || {};
  run.steps = run.steps.map((step, n) => withHidden(step, run.trajectory?.steps[n]));
  endRun(run, stop === "finished" || error ? stop : fireact?.limit || fireact?.stop_reason || stop, error);
}

// What of a step only the trajectory tells: what the model thought to itself, and how its reply had to be read.
function withHidden(step, told) {
  if (!told?.reasoning && !told?.repairs.length) return step;
  return { ...step, reasoning: told.reasoning, ...(told.repairs.length ? { repairs: told.repairs } : {}) };
}
