"use strict";
// The server: who answers there, and one question to one of them, until its end or until it is stopped.

let apiKey = ""; // in memory only: never stored, never in an address

class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function call(path, body, signal) {
  const headers = apiKey ? { authorization: `Bearer ${apiKey}` } : {};
  const options = { headers, signal, cache: "no-store", credentials: "omit", redirect: "error" };
  if (body !== undefined) {
    Object.assign(options, { method: "POST", body: JSON.stringify(body) });
    headers["content-type"] = "application/json";
  }
  const response = await fetch(path, options);
  if (response.ok) return response;
  throw new Refused(response.status, await refusalText(response));
}

async function refusalText(response) {
  const text = await response.text().catch(() => "");
  const wait = Number(response.headers.get("retry-after"));
  const again = wait > 0 ? ` Ask again in ${wait === 1 ? "a second" : `${wait} seconds`}.` : "";
  return `${messageIn(text) || `The server refused it (status ${response.status}).`}${again}`;
}

// Of an error as OpenAI writes it.
function messageIn(text) {
  try {
    return JSON.parse(text).error.message;
  } catch {
    return "";
  }
}

// Feeds `run` until it has ended, however that is. `onChange`: after everything that came.
async function follow(run, request, signal, onChange) {
  try {
    const response = await call("v1/responses", request, signal);
    for await (const event of eventsIn(response.body)) {
      applyEvent(run, event);
      onChange();
    }
    if (!run.ended) endRun(run, "broken");
  } catch (error) {
    if (!run.ended) endRun(run, ...endOf(error, run));
    if (error instanceof Refused && error.status === 401) throw error;
  } finally {
    onChange();
  }
}

function endOf(error, run) {
  if (error.name === "AbortError") return ["stopped"];
  if (error instanceof Refused) return ["refused", error.message];
  if (error instanceof SyntaxError) return ["failed", "The server sent something that cannot be read."];
  return run.steps.length ? ["broken"] : ["failed", "The server cannot be reached, or ended the connection at once."];
}
