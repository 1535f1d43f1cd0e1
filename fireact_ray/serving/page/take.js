"use strict";
// A run in, a file out that `fireact view` and `fireact import` read: a row of our own, whatever ended the run.

// What a run that has no trajectory of the server's says of its end: one of a trajectory's own words, and why.
const CUT = {
  stopped: ["timeout", "Stopped: whoever asked did not wait for the answer."],
  broken: ["crashed", "Broken: the connection ended before the answer."],
  failed: ["model_error", "Failed: "],
};

function canBeTaken(run) {
  return Boolean(run.trajectory) || (run.ended && wholeSteps(run).length > 0 && run.stop in CUT);
}

function rowOf(run, question) {
  return run.trajectory ? toldRow(run.trajectory) : seenRow(run, question);
}

// The server's own trajectory, as a row.
function toldRow({ question, score, ...trajectory }) {
  const asked = { task: question.task, question_id: question.id, kind: question.kind, question: question.text };
  const marks = { exact_match: score?.exact_match ?? null, f1: score?.f1 ?? null };
  return { ...trajectory, ...asked, answers: question.answers, ...marks };
}

// What was seen of a run that did not come to its end: its whole steps.
function seenRow(run, question) {
  const [stop_reason, why] = CUT[run.stop];
  return {
    trajectory_id: run.id, task: "served", question_id: run.id, kind: "", question, answers: [],
    method: run.method, model: run.model, attempt: 0, stop_reason, error: why + run.error, exact_match: null, f1: null,
    cost_usd: run.cost, schema_version: 1, steps: wholeSteps(run).map(stepRow),
  };
}

function wholeSteps(run) {
  return run.steps.filter((step) => step.isWhole);
}

function stepRow(step) {
  const { observation, status } = step;
  return {
    thought: step.thought,
    action: step.tool ? { tool: step.tool, argument: step.argument } : null,
    observation: status ? { text: observation, status } : null,
    completion: "", usage: { prompt_tokens: step.prompt, completion_tokens: step.completion },
    model_latency_s: step.model_s, tool_latency_s: step.tool_s, reasoning: "", repairs: [],
  };
}

function jsonOf(run, question) {
  return `${JSON.stringify(rowOf(run, question), null, 2)}\n`;
}

function download(entry, run) {
  const file = new Blob([jsonOf(run, entry.question)], { type: "application/json" });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = `${fileName(run.model)}-${new Date(entry.at).toISOString().slice(0, 19).replaceAll(":", "")}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

async function copy(entry, run, button) {
  try {
    await navigator.clipboard.writeText(jsonOf(run, entry.question));
    button.textContent = "Copied";
  } catch {
    button.textContent = "The browser does not let this page copy";
  }
}

function fileName(model) {
  return model.replace(/[^\w.-]+/g, "-").slice(0, 80) || "trajectory";
}
