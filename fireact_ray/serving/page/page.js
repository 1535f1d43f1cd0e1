"use strict";
// What one does here: ask, watch, stop, open again, take away.

const THEMES = { "": "Auto", light: "Light", dark: "Dark" };
const NARROW = window.matchMedia("(max-width: 860px)");

let models = [];
let offered = { title: "", examples: [] };
let asking = null; // the AbortController of what runs
let opened = null; // the entry that is shown

async function connect() {
  try {
    const [listed, offer] = await Promise.all([call("v1/models"), call("v1/page")]);
    const cards = (await listed.json()).data;
    models = cards.map((card) => card.id);
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
  if (asking || !question || !models.length) return;
  const chosen = [$("against").value, $("show").value].filter(Boolean);
  const faults = $("faulty").checked ? $("faults").value : "";
  const entry = { question, faults, at: Date.now(), runs: chosen.map(newRun) };
  asking = new AbortController();
  $("question").value = "";
  keepEntry(entry);
  open(entry);
  if (NARROW.matches) $("card").scrollIntoView();
  drawRunning();
  const clock = setInterval(redraw, 100);
  const onChange = () => opened === entry && redraw();
  const heard = entry.runs.map((run) => hearing(run));
  const ends = await Promise.allSettled(
    entry.runs.map((run, n) => follow(run, question, faults, asking.signal, () => { onChange(); heard[n](); })),
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

// Says each step once to whoever listens instead of looking.
function hearing(run) {
  let nSaid = 0;
  let isOver = false;
  return () => {
    const steps = run.steps.filter((step) => !step.isOpen);
    for (; nSaid < steps.length; nSaid += 1) say(run, stepWords(steps[nSaid], nSaid));
    if (run.ended && !isOver) say(run, run.answer === null ? `No answer. ${reasonOf(run)}` : `Answer: ${run.answer}`);
    isOver = run.ended;
  };
}

function stepWords(step, n) {
  const found = step.status === "ok" ? "found something" : step.status === "empty" ? "found nothing" : "failed";
  const did = step.tool ? `${step.tool} ${step.argument}` : "no usable action";
  return `Step ${n + 1}: ${step.thought} ${did}${step.observation ? `, ${found}` : ""}.`;
}

function say(run, text) {
  const who = opened && opened.runs.length > 1 ? `${run.model}: ` : "";
  $("said").append(h("span", "", visible(`${who}${text} `)));
  while ($("said").childElementCount > 6) $("said").firstChild.remove();
}

function stop() {
  asking?.abort();
}

function open(entry) {
  opened = entry;
  showEntry(entry, { again: askAgain, download, copy });
  drawEntries(opened, open);
  document.body.classList.toggle("asked-before", opened !== null);
  $("question").placeholder = opened ? "Another question" : "Something that takes a few searches";
  $("examples").hidden = opened !== null || !offered.examples.length;
  closeHistory();
  if (entry && !asking) $("card").focus({ preventScroll: !NARROW.matches });
}

function askAgain(entry) {
  propose(entry.question);
  window.scrollTo({ top: 0 });
}

function download(entry, run) {
  const file = new Blob([jsonOf(run)], { type: "application/json" });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = `${nameFor(run.model)}-${new Date(entry.at).toISOString().slice(0, 19).replaceAll(":", "")}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

async function copy(run, button) {
  try {
    await navigator.clipboard.writeText(jsonOf(run));
    button.textContent = "Copied";
  } catch {
    button.textContent = "The browser does not let this page copy";
  }
}

function jsonOf(run) {
  return `${JSON.stringify(rowOf(run.trajectory), null, 2)}\n`;
}

function nameFor(model) {
  return model.replace(/[^\w.-]+/g, "-").slice(0, 80) || "trajectory";
}

function clear() {
  clearSession();
  if (!entries.includes(opened)) open(null);
  drawEntries(opened, open);
}

function showProblem(text) {
  $("problem").textContent = visible(text);
  $("problem").hidden = !text;
}

function askForKey() {
  $("key-problem").textContent = apiKey ? "The server does not take this key." : "";
  if (!$("key-dialog").open) $("key-dialog").showModal();
}

function takeKey(event) {
  event.preventDefault();
  apiKey = $("key").value.trim();
  $("key").value = "";
  $("key-dialog").close();
  connect();
}

function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  $("theme").replaceChildren(h("span", "", "Colours: "), THEMES[theme]);
  $("theme").setAttribute("aria-label", `Colours: ${THEMES[theme]}`);
}

function nextTheme() {
  const names = Object.keys(THEMES);
  const now = document.documentElement.dataset.theme || "";
  const theme = names[(names.indexOf(now) + 1) % names.length];
  setTheme(theme);
  remember(THEME, theme);
}

function toggleHistory() {
  const isOpen = $("history").classList.toggle("open");
  $("open-history").setAttribute("aria-expanded", isOpen);
}

function closeHistory() {
  $("history").classList.remove("open");
  $("open-history").setAttribute("aria-expanded", "false");
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.key === "Escape") {
    stop();
    closeHistory();
  } else if (event.target === $("question")) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      ask();
    }
  } else if (!event.target.matches("input, select")) {
    if (event.key === "/") {
      event.preventDefault();
      $("question").focus();
    } else if (event.key === "?") $("help").showModal();
  }
}

function listen() {
  $("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  $("stop").addEventListener("click", stop);
  $("show").addEventListener("change", drawOthers);
  $("faulty").addEventListener("change", () => ($("faults").hidden = !$("faulty").checked));
  $("clear").addEventListener("click", clear);
  $("key-form").addEventListener("submit", takeKey);
  $("key-cancel").addEventListener("click", () => $("key-dialog").close());
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
connect();
if (!NARROW.matches) $("question").focus();
