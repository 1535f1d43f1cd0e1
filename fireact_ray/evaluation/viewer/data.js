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
const WANTED = ["outcome", ...Object.keys(FACETS)];
const SORTS = { "": "by row", seconds: "slowest", tokens: "most tokens", cost: "most expensive", steps: "most steps" };

let lines = null; // of the bodies, which come behind this script
const texts = new Array(N_ROWS); // to search in

function bodyOf(place) {
  lines ??= document.getElementById("bodies").textContent.split("\n");
  return JSON.parse(lines[place]);
}

function questionOf(item) {
  return INDEX.questions[ROWS.question[item.first ?? item.second]] || "(no question)";
}

// What is listed: a row each of the system `show`, or two rows that face each other, that of `against` first. `places`
// are those that there are.
function itemsOf(show, against) {
  if (against === null) {
    const places = Array.from({ length: N_ROWS }, (_, place) => place).filter((place) => ROWS.system[place] === show);
    return places.map((place) => itemOf(place, null, ROWS.verdict[place]));
  }
  return pairsOf(against, show).map(([a, b, outcome]) => itemOf(a, b, outcome));
}

// `values`: what each choice of a filter has to find in it.
function itemOf(first, second, outcome) {
  const places = [first, second].filter((place) => place !== null);
  const values = { outcome: [outcome] };
  for (const facet of Object.keys(FACETS)) values[facet] = valuesOf(places, facet);
  return { first, second, outcome, places, values };
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

function valuesOf(places, facet) {
  const values = places.flatMap((place) => {
    if (facet === "lint") return ROWS.lint[place];
    if (facet === "trained") return [ROWS.trained[place] === null ? "not trained on" : "trained on"];
    return ROWS[facet][place] ? [ROWS[facet][place]] : [];
  });
  return places.length > 1 ? [...new Set(values)] : values;
}

// What there is to choose from: all outcomes, and the values of each filter that has several.
function choicesOf(items) {
  const { counts } = sift(items, {}, []);
  const facets = Object.keys(FACETS).filter((name) => counts[name].size > 1);
  const isKnown = (by) => items.some((item) => item.places.some((place) => ROWS[by][place]));
  const sorts = Object.keys(SORTS).filter((by) => !by || isKnown(by));
  return { outcomes: counts.outcome, facets: facets.map((name) => [name, [...counts[name].keys()]]), sorts };
}

// The items that pass, and for each facet how many would pass with another choice there: one pass over all.
function sift(items, wanted, terms) {
  const counts = Object.fromEntries(WANTED.map((name) => [name, new Map()]));
  const asked = WANTED.filter((name) => wanted[name]);
  const passed = [];
  for (const item of items) {
    if (terms.length && !item.places.some((place) => hasAll(textOf(place), terms))) continue;
    const missed = asked.filter((name) => !item.values[name].includes(wanted[name]));
    if (missed.length === 0) passed.push(item);
    if (missed.length > 1) continue;
    for (const name of missed.length ? missed : WANTED) {
      const count = counts[name];
      for (const value of item.values[name]) count.set(value, (count.get(value) || 0) + 1);
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
