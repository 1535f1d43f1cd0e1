"use strict";
// The rows of the page: what they hold, which of them face each other, and which ones a state lets through.

const INDEX = JSON.parse(document.getElementById("index").textContent);
const ROWS = INDEX.columns;
const N_ROWS = (ROWS.system || []).length;
const OUTCOMES = {
  one: ["right", "wrong", "unscored", "unreadable"],
  two: ["fixed", "broke", "both right", "both wrong", "unscored", "only first", "only second"],
};
const SWAPPED = { fixed: "broke", broke: "fixed", "only first": "only second", "only second": "only first" };
const FACETS = { kind: "Kind", task: "Task", method: "Method", stop: "Ended by", lint: "Lint", trained: "Training" };
const SORTS = { "": "by row", seconds: "slowest", tokens: "most tokens", cost: "most expensive", steps: "most steps" };

let lines = null; // of the bodies, which come behind this script
const texts = new Array(N_ROWS); // to search in

function bodyOf(place) {
  lines ??= document.getElementById("bodies").textContent.split("\n");
  return JSON.parse(lines[place]);
}

function questionOf(item) {
  return INDEX.questions[ROWS.question[item.first ?? item.second]];
}

// What is listed: a row each of the system `show`, or two rows that face each other, that of `against` first. `places`
// are those that there are.
function itemsOf(show, against) {
  if (against === null) {
    const places = Array.from({ length: N_ROWS }, (_, place) => place).filter((place) => ROWS.system[place] === show);
    return places.map((place) => ({ first: place, second: null, outcome: ROWS.verdict[place], places: [place] }));
  }
  return pairsOf(against, show).map(([a, b, outcome]) => {
    return { first: a, second: b, outcome, places: [a, b].filter((place) => place !== null) };
  });
}

function pairsOf(first, second) {
  const asWritten = INDEX.pairs[`${first}-${second}`];
  if (asWritten) return asWritten;
  const swapped = INDEX.pairs[`${second}-${first}`] || [];
  return swapped.map(([a, b, change]) => [b, a, SWAPPED[change] || change]);
}

function isComparable(first, second) {
  return first !== second && pairsOf(first, second).length > 0;
}

function valuesOf(item, facet) {
  const values = new Set();
  for (const place of item.places) {
    if (facet === "lint") ROWS.lint[place].forEach((code) => values.add(code));
    else if (facet === "trained") values.add(ROWS.trained[place] === null ? "not trained on" : "trained on");
    else if (ROWS[facet][place]) values.add(ROWS[facet][place]);
  }
  return [...values];
}

// The items that pass, and for each facet how many would pass with another choice there: one pass over all.
function sift(items, wanted, terms) {
  const names = ["outcome", ...Object.keys(FACETS)];
  const counts = Object.fromEntries(names.map((name) => [name, new Map()]));
  const passed = [];
  for (const item of items) {
    if (terms.length && !item.places.some((place) => hasAll(textOf(place), terms))) continue;
    item.values ??= Object.fromEntries(names.map((n) => [n, n === "outcome" ? [item.outcome] : valuesOf(item, n)]));
    const missed = names.filter((name) => wanted[name] && !item.values[name].includes(wanted[name]));
    if (missed.length === 0) passed.push(item);
    for (const name of names) {
      if (missed.length > 1 || (missed.length === 1 && missed[0] !== name)) continue;
      for (const value of item.values[name]) counts[name].set(value, (counts[name].get(value) || 0) + 1);
    }
  }
  return { passed, counts };
}

function sorted(items, by) {
  if (!by) return items;
  const size = (item) => Math.max(...item.places.map((place) => ROWS[by][place] ?? -1));
  return [...items].sort((a, b) => size(b) - size(a));
}

function termsOf(query) {
  const found = query.toLowerCase().matchAll(/"([^"]+)"|(\S+)/g);
  return [...found].map(([, phrase, word]) => phrase || word);
}

function hasAll(text, terms) {
  return terms.every((term) => text.includes(term));
}

function textOf(place) {
  texts[place] ??= [INDEX.questions[ROWS.question[place]], ...stringsIn(bodyOf(place))].join("\n").toLowerCase();
  return texts[place];
}

function stringsIn(value) {
  if (typeof value === "string") return [value];
  return value && typeof value === "object" ? Object.values(value).flatMap(stringsIn) : [];
}

// Before somebody searches, while nothing else is to be done.
function readAhead(from = 0) {
  const later = window.requestIdleCallback || ((work) => setTimeout(() => work({ timeRemaining: () => 8 }), 50));
  later((deadline) => {
    let place = from;
    while (place < N_ROWS && deadline.timeRemaining() > 2) textOf(place++);
    if (place < N_ROWS) readAhead(place);
  });
}

// Elements, with texts as text nodes: nothing of a row is ever read as markup.
function h(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}
