"use strict";
// What was asked in this session: in memory, and in the tab's own storage, so that a page that is loaded again has it.

const STORED = "fireact.session";

let entries = []; // the newest first
let nForgotten = 0; // that the tab's storage has no room for

function readSession() {
  try {
    const stored = JSON.parse(sessionStorage.getItem(STORED) || "[]");
    return Array.isArray(stored) ? stored : [];
  } catch {
    return []; // no storage here, or something else is in it
  }
}

// Writes what fits, the newest first.
function writeSession() {
  const ended = entries.filter((entry) => entry.runs.every((run) => run.ended));
  for (nForgotten = 0; nForgotten <= ended.length; nForgotten += 1) {
    try {
      sessionStorage.setItem(STORED, JSON.stringify(ended.slice(0, ended.length - nForgotten)));
      return;
    } catch {
      // no room for as many, or no storage at all
    }
  }
  nForgotten = ended.length;
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
  const button = h("button", "entry", h("span", "asked", inline(visible(entry.question))), ...results);
  button.type = "button";
  if (isOpen) button.setAttribute("aria-current", "true");
  button.addEventListener("click", () => onOpen(entry));
  return button;
}

function resultText(run) {
  if (!run.ended) return "…";
  return run.answer === null ? visible(shortReason(run)) : visible(run.answer);
}
