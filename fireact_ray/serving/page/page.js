"use strict";
// What one does here: ask, watch, stop, follow up, open again.

let models = [];
let methods = {}; // by model
let offered = { title: "", examples: [] };
let asking = null; // the AbortController of what runs
let opened = null; // the entry that is shown
let connecting = null; // while it goes on

function connected() {
  return (connecting ??= connect().finally(() => (connecting = null)));
}

async function connect() {
  try {
    const [listed, offer] = await Promise.all([call("v1/models"), call("v1/page")]);
    const cards = (await listed.json()).data;
    models = cards.map((card) => card.id);
    methods = Object.fromEntries(cards.map((card) => [card.id, card.fireact?.method || ""]));
    offered = await offer.json();
    drawOffer(cards.some((card) => card.fireact?.takes_faults));
    showProblem("");
  } catch (error) {
    if (error instanceof Refused && error.status === 401) askForKey();
    else showProblem(error instanceof Refused ? error.message : "The server cannot be reached.");
  }
}

function drawOffer(takesFaults) {
  $("title").textContent = visible(offered.title);
  document.title = visible(offered.title);
  fill($("show"), models.map((model) => [model, visible(model)]), $("show").value || models[0]);
  drawOthers();
  $("faults-choice").hidden = !takesFaults;
  fill($("faults"), Object.entries(FAULTS), $("faults").value || "none");
  drawExamples();
}

function drawOthers() {
  const others = models.filter((model) => model !== $("show").value);
  const chosen = others.includes($("against").value) ? $("against").value : "";
  fill($("against"), [["", "nothing"], ...others.map((model) => [model, visible(model)])], chosen);
  $("against-choice").hidden = models.length < 2;
  $("ask").classList.toggle("several", models.length > 1);
}

function drawExamples() {
  const items = offered.examples.map(({ kind, text }) => {
    const button = h("button", "example", h("span", "label", visible(kind)), h("span", "", visible(text)));
    button.type = "button";
    button.addEventListener("click", () => propose(text));
    return h("li", "", button);
  });
  $("examples").replaceChildren(h("p", "label", "For example"), h("ul", "", ...items));
  $("examples").hidden = !items.length || opened !== null;
}

function propose(text) {
  $("question").value = text;
  $("question").focus();
}

async function ask() {
  const question = $("question").value.trim();
  if (asking || !question) return;
  if (!models.length) await connected(); // not yet, or there was no server, or no key, when the page was opened
  if (asking || !models.length) return;
  const chosen = [$("against").value, $("show").value].filter(Boolean);
  const faults = $("faulty").checked ? $("faults").value : "";
  const runs = chosen.map((model) => newRun(model, earlierFor(model, followed), methods[model]));
  asking = new AbortController();
  const entry = { question, faults, follows: followed, at: Date.now(), runs };
  $("question").value = "";
  followUp(null);
  keepEntry(entry);
  open(entry);
  if (NARROW.matches) $("card").scrollIntoView();
  await watch(entry);
}

async function watch(entry) {
  drawRunning();
  const clock = setInterval(redraw, 100);
  const onChange = () => opened === entry && redraw();
  const heard = entry.runs.map((run) => hearing(run, entry.runs.length > 1));
  const ends = await Promise.allSettled(
    entry.runs.map((run, n) => follow(run, requestOf(run, entry.question, entry.faults), asking.signal, () => {
      onChange();
      heard[n]();
    })),
  );
  clearInterval(clock);
  asking = null;
  drawRunning();
  keepEntry(entry);
  drawEntries(opened, open);
  if (ends.some((end) => end.status === "rejected")) askForKey();
}

function drawRunning() {
  $("submit").hidden = asking !== null;
  $("stop").hidden = asking === null;
}

function stop() {
  asking?.abort();
}

function open(entry) {
  opened = entry;
  showEntry(entry, { again: askAgain, follow: askOn, download, copy });
  drawEntries(opened, open);
  document.body.classList.toggle("asked-before", opened !== null);
  $("question").placeholder = opened ? "Another question" : "Something that takes a few searches";
  $("examples").hidden = opened !== null || !offered.examples.length;
  closeHistory();
  if (entry && !asking) $("card").focus({ preventScroll: !NARROW.matches });
}

function askAgain(entry) {
  followUp(entry.follows);
  propose(entry.question);
  window.scrollTo({ top: 0 });
}

function askOn(entry) {
  followUp(entry);
  $("question").focus();
  window.scrollTo({ top: 0 });
}

function clear() {
  clearSession();
  followUp(null);
  if (!entries.includes(opened)) open(null);
  drawEntries(opened, open);
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.key === "Escape") {
    if (asking) stop();
    else followUp(null);
    closeHistory();
  } else if (event.target === $("question")) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      ask();
    }
  } else if (!event.target.matches("input, select")) onShortcut(event);
}

function onShortcut(event) {
  if (event.key === "/") {
    event.preventDefault();
    $("question").focus();
  } else if (event.key === "f" && opened && canBeFollowed(opened)) {
    event.preventDefault();
    askOn(opened);
  } else if (event.key === "?") $("help").showModal();
}

function listen() {
  $("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  $("stop").addEventListener("click", stop);
  $("show").addEventListener("change", drawOthers);
  $("faulty").addEventListener("change", () => ($("faults").hidden = !$("faulty").checked));
  $("unfollow").addEventListener("click", () => followUp(null));
  $("clear").addEventListener("click", clear);
  $("key-form").addEventListener("submit", takeKey);
  $("key-cancel").addEventListener("click", leaveKey);
  $("help-button").addEventListener("click", () => $("help").showModal());
  $("theme").addEventListener("click", nextTheme);
  $("open-history").addEventListener("click", toggleHistory);
  document.addEventListener("keydown", onKey);
  window.addEventListener("pagehide", stop); // a page that the browser keeps to go back to would go on
}

entries = remembered(SESSION) || [];
setTheme(remembered(THEME) || "");
listen();
drawEntries(opened, open);
connected();
if (!NARROW.matches) $("question").focus();
