"use strict";
// What was asked in this session: in memory, and in the tab's own storage, so that a page that is loaded again has it.

const SESSION = "fireact.session.2";
const THEME = "fireact.theme";

let entries = []; // the newest first
let nForgotten = 0; // that the tab's storage has no room for

// What the tab keeps under a name; undefined where it keeps nothing, or may not.
function remembered(name) {
  try {
    return JSON.parse(sessionStorage.getItem(name)) ?? undefined;
  } catch {
    return undefined;
  }
}

// Whether there was room for it.
function remember(name, value) {
  try {
    sessionStorage.setItem(name, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

// Writes what fits, the newest first.
function writeSession() {
  const ended = entries.filter((entry) => entry.runs.every((run) => run.ended));
  let n = ended.length;
  while (n > 0 && !remember(SESSION, ended.slice(0, n))) n -= 1;
  if (n === 0) remember(SESSION, []);
  nForgotten = ended.length - n;
}

function keepEntry(entry) {
  if (!entries.includes(entry)) entries = [entry, ...entries];
  writeSession();
}

function clearSession() {
  entries = entries.filter((entry) => entry.runs.some((run) => !run.ended));
  writeSession();
}

function drawEntries(open, onOpen) {
  $("entries").replaceChildren(...entries.map((entry) => h("li", "", drawEntry(entry, entry === open, onOpen))));
  document.body.classList.toggle("blank", !entries.length);
  $("kept").textContent = nForgotten ? `The oldest ${nForgotten} are kept until the page is loaded again.` : "";
  $("open-history").textContent = `History (${entries.length})`;
}

function drawEntry(entry, isOpen, onOpen) {
  const results = entry.runs.map((run) => h("span", `result ${stateOf(run)}`, inline(resultText(run))));
  const asked = h("span", entry.runs[0].earlier.length ? "asked following" : "asked", inline(visible(entry.question)));
  const button = h("button", "entry", asked, ...results);
  button.type = "button";
  if (isOpen) button.setAttribute("aria-current", "true");
  button.addEventListener("click", () => onOpen(entry));
  return button;
}

function resultText(run) {
  if (!run.ended) return "…";
  return run.answer === null ? visible(shortReason(run)) : visible(run.answer);
}
