"use strict";
// What is shown is a state, and the state is the address: read from it, changed by keys and choices, written to it.

const narrow = window.matchMedia("(max-width: 860px)");
const OPEN = INDEX.open[1] === null ? [INDEX.open[0], null] : [INDEX.open[1], INDEX.open[0]];

let state = {};
let items = [];
let choices = choicesOf(items);
let isLoaded = false; // the bodies, too
let hasPushed = false;
let writing = 0;

function readAddress() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const named = (key) => INDEX.systems.findIndex((system) => system.name === asked.get(key));
  const [show, beside] = named("show") < 0 ? OPEN : [named("show"), named("against")];
  const against = beside !== null && beside >= 0 && isComparable(beside, show) ? beside : null;
  const wanted = Object.fromEntries(WANTED.map((name) => [name, asked.get(name) || ""]));
  const sort = Object.keys(SORTS).includes(asked.get("sort")) ? asked.get("sort") : "";
  return { show, against, wanted, sort, query: asked.get("q") || "", row: asked.get("row") || "" };
}

// A browser takes a few addresses a second at most; `push`: as a page of its own, to which "back" leads from the card.
function writeAddress(push = false) {
  clearTimeout(writing);
  if (push) history.pushState(null, "", address());
  else writing = setTimeout(() => address() !== location.hash && history.replaceState(null, "", address()), 150);
}

function address() {
  const asked = new URLSearchParams();
  if (state.show !== OPEN[0] || state.against !== OPEN[1]) {
    asked.set("show", INDEX.systems[state.show].name);
    if (state.against !== null) asked.set("against", INDEX.systems[state.against].name);
  }
  for (const [name, value] of Object.entries(state.wanted)) if (value) asked.set(name, value);
  if (state.query) asked.set("q", state.query);
  if (state.sort) asked.set("sort", state.sort);
  if (state.row) asked.set("row", state.row);
  return `#${asked}`;
}

function update() {
  const { passed, counts } = sift(items, state.wanted, isLoaded ? termsOf(state.query) : []);
  drawOutcomes(counts.outcome);
  drawFacets(counts);
  const [n, total] = [passed.length, items.length].map((count) => numberText(count));
  const what = state.against === null ? "rows" : "questions side by side";
  $("count").textContent = n === total ? `${total} ${what}` : `${n} of ${total} ${what}`;
  $("clear").hidden = !isFiltered();
  showList(sorted(passed, state.sort));
  const isAsked = (item) => item.places.some((place) => ROWS.key[place] === state.row);
  const at = state.row === "" ? -1 : listed.findIndex(isAsked);
  if (at < 0) state.row = "";
  openAt(at < 0 && !narrow.matches ? 0 : at);
  writeAddress();
}

function isFiltered() {
  return state.query !== "" || Object.values(state.wanted).some(Boolean);
}

// Open the item at a place of the list, because somebody asked for it.
function choose(at) {
  const item = listed[at];
  const wasReading = document.body.classList.contains("reading");
  state.row = item ? ROWS.key[item.first ?? item.second] : "";
  openAt(at);
  writeAddress(narrow.matches && !wasReading);
  hasPushed ||= narrow.matches && !wasReading;
  if (narrow.matches) $("card").focus({ preventScroll: true });
  else reveal(at);
  drawVisible();
}

function openAt(at) {
  chosen = listed[at] ? at : -1;
  document.body.classList.toggle("reading", narrow.matches && state.row !== "" && chosen >= 0);
  if (isLoaded) drawOpen();
  markChosen();
}

function drawOpen() {
  const back = h("button", "link back", "‹ All rows");
  back.type = "button";
  back.addEventListener("click", closeCard);
  $("card").replaceChildren(back, ...drawCard(listed[chosen], termsOf(state.query), state.against !== null));
  $("card").scrollTop = 0;
}

function isReading() {
  return document.body.classList.contains("reading") || document.activeElement === $("card");
}

function closeCard() {
  if (document.body.classList.contains("reading")) {
    if (hasPushed) return history.back(); // `apply` shows the list
    state.row = "";
    document.body.classList.remove("reading");
    writeAddress();
  }
  return list.focus({ preventScroll: true });
}

function show(system, against) {
  state.show = system;
  state.against = against !== null && isComparable(against, system) ? against : null;
  state.wanted = Object.fromEntries(WANTED.map((name) => [name, ""]));
  items = itemsOf(state.show, state.against);
  choices = choicesOf(items);
  drawSystems();
  drawOverview();
  update();
}

function want(name, value) {
  state.wanted[name] = value;
  update();
}

function clear() {
  state.query = "";
  $("search").value = "";
  state.wanted = Object.fromEntries(WANTED.map((name) => [name, ""]));
  update();
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
  const isTyping = event.target.matches("input, select, textarea");
  const act = isTyping ? TYPING[event.key] : KEYS[event.key];
  if (!act || (event.key === "Enter" && event.target.matches("button, summary"))) return;
  if (event.key.startsWith("Arrow") && event.target !== list) return; // elsewhere they scroll
  event.preventDefault();
  act();
}

const KEYS = {
  j: () => choose(Math.min(chosen + 1, listed.length - 1)),
  k: () => choose(Math.max(chosen - 1, 0)),
  ArrowDown: () => KEYS.j(),
  ArrowUp: () => KEYS.k(),
  Enter: () => (narrow.matches ? choose(Math.max(chosen, 0)) : $("card").focus({ preventScroll: true })),
  Escape: () => (isReading() ? closeCard() : clear()),
  "/": () => $("search").focus(),
  "?": () => $("help").showModal(),
};
const TYPING = {
  Escape: () => list.focus({ preventScroll: true }),
  Enter: () => list.focus({ preventScroll: true }),
};

function listen() {
  $("show").addEventListener("change", () => show(Number($("show").value), state.against));
  $("against").addEventListener("change", () => {
    show(state.show, $("against").value === "" ? null : Number($("against").value));
  });
  $("search").addEventListener("input", () => {
    state.query = $("search").value.trim();
    update();
  });
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("clear").addEventListener("click", clear);
  $("help-button").addEventListener("click", () => $("help").showModal());
  document.addEventListener("keydown", onKey);
  for (const target of [scroller, window]) target.addEventListener("scroll", () => drawVisible(), { passive: true });
  window.addEventListener("resize", () => showList(listed));
  narrow.addEventListener("change", () => openAt(chosen));
  window.addEventListener("popstate", apply);
}

function apply() {
  state = readAddress();
  hasPushed = hasPushed && state.row !== "";
  $("search").value = state.query;
  items = itemsOf(state.show, state.against);
  choices = choicesOf(items);
  drawSystems();
  drawOverview();
  update();
}

$("title").textContent = INDEX.title;
$("notes").hidden = !INDEX.notes.length;
$("notes").replaceChildren(...INDEX.notes.map((note) => h("p", "", note)));
listen();
apply();
document.addEventListener("DOMContentLoaded", () => {
  isLoaded = true;
  if (state.query) update();
  else drawOpen();
  readAhead();
});
