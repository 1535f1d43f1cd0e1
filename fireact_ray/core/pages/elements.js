"use strict";
// Elements, and texts and numbers in them.

const NUMBERS = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const UNKNOWN = "unknown"; // never 0
const LONG = 900; // characters of an observation that are shown at once

const $ = (id) => document.getElementById(id);

// Elements, with texts as text nodes: nothing of a row is ever read as markup.
function h(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

// A menu of pairs of value and text.
function fill(select, options, value) {
  select.replaceChildren(...options.map(([key, text]) => new Option(text, key)));
  select.value = String(value);
}

function badge(outcome) {
  return h("span", `badge ${outcome.replace(" ", "-")}`, outcome);
}

function folded(title, text, terms) {
  return h("details", "folded", h("summary", "", title), h("pre", "", ...marked(text, terms)));
}

function clippable(text, terms) {
  const shown = h("div", "text", ...marked(text, terms));
  if (text.length <= LONG || terms.length) return shown;
  shown.classList.add("clipped");
  const more = h("button", "link more", `Show all ${numberText(text.length)} characters`);
  more.type = "button";
  more.addEventListener("click", () => {
    shown.classList.remove("clipped");
    more.remove();
  });
  return h("div", "", shown, more);
}

// The text as nodes, what was searched for within <mark>.
function marked(text, terms) {
  const low = text.toLowerCase();
  if (!terms.length || low.length !== text.length) return [text];
  const nodes = [];
  let done = 0;
  for (;;) {
    const hits = terms.map((term) => [low.indexOf(term, done), term]).filter(([at]) => at >= 0);
    if (!hits.length) break;
    const [at, term] = hits.reduce((a, b) => (b[0] < a[0] || (b[0] === a[0] && b[1].length > a[1].length) ? b : a));
    if (at > done) nodes.push(text.slice(done, at));
    nodes.push(h("mark", "", text.slice(at, at + term.length)));
    done = at + term.length;
  }
  return done < text.length ? [...nodes, text.slice(done)] : nodes;
}

function inline(text) {
  return text.length > 400 ? text.slice(0, 400) : text;
}

function numberText(value) {
  return value === null || value === undefined ? "" : NUMBERS.format(value);
}

function secondsText(seconds) {
  if (seconds === null || seconds === undefined) return "";
  return seconds < 0.01 ? "< 0.01 s" : `${seconds < 10 ? seconds.toFixed(2) : seconds.toFixed(0)} s`;
}

function usdText(value) {
  return `$${value >= 1 ? value.toFixed(2) : value.toPrecision(2)}`;
}
