"use strict";
// The list: of thousands of items only those in sight are elements.

const scroller = document.getElementById("scroller");
const list = document.getElementById("list");
const BEYOND = 6; // items drawn above and below what is in sight

let listed = []; // items in their order
let chosen = -1; // which of them is open
let drawn = [0, 0];

function showList(items) {
  listed = items;
  list.style.height = items.length ? `${items.length * itemHeight()}px` : "";
  list.replaceChildren(...(items.length ? [] : [h("p", "nothing", "No row is like that.")]));
  drawn = [0, 0];
  drawVisible();
}

function itemHeight() {
  return parseFloat(getComputedStyle(list).getPropertyValue("--item")) || 76;
}

function drawVisible() {
  if (!listed.length) return;
  const height = itemHeight();
  const top = list.getBoundingClientRect().top;
  const start = Math.max(0, scroller.getBoundingClientRect().top);
  const end = Math.min(window.innerHeight, Math.max(scroller.getBoundingClientRect().bottom, start));
  const from = Math.max(0, Math.floor((start - top) / height) - BEYOND);
  const to = Math.min(listed.length, Math.ceil((end - top) / height) + BEYOND);
  if (from === drawn[0] && to === drawn[1] && list.childElementCount === Math.max(0, to - from)) return;
  drawn = [from, to];
  const elements = [];
  for (let at = from; at < to; at += 1) elements.push(drawItem(listed[at], at, height));
  list.replaceChildren(...elements);
  markChosen();
}

function drawItem(item, at, height) {
  const option = h("div", "item", itemHead(item), h("p", "asked", inline(questionOf(item))), itemFoot(item));
  option.id = `item-${at}`;
  option.setAttribute("role", "option");
  option.setAttribute("aria-setsize", listed.length);
  option.setAttribute("aria-posinset", at + 1);
  option.style.transform = `translateY(${at * height}px)`;
  option.addEventListener("click", () => choose(at));
  return option;
}

function itemHead(item) {
  const place = item.first ?? item.second;
  const ended = ROWS.stop[place] && ROWS.stop[place] !== "finished" ? ROWS.stop[place].replace("_", " ") : "";
  const facts = [ROWS.method[place], ROWS.kind[place], ended].filter(Boolean).map(inline).join(" · ");
  return h("p", "head", badge(item.outcome), h("span", "facts", facts));
}

function itemFoot(item) {
  if (item.second !== null && item.first !== null) {
    const [a, b] = [item.first, item.second].map((place) => h("span", "", inline(ROWS.answer[place] ?? "no answer")));
    return h("p", "foot answers", a, h("span", "arrow", "→"), b);
  }
  const place = item.first ?? item.second;
  const answer = ROWS.verdict[place] === "unreadable" ? "cannot be read" : (ROWS.answer[place] ?? "no answer");
  return h("p", "foot answers", h("span", "", inline(answer)), h("span", "size", sizeText(place)));
}

function sizeText(place) {
  const steps = ROWS.steps[place];
  const parts = steps === null ? [] : [steps === 1 ? "1 step" : `${steps} steps`];
  if (ROWS.seconds[place] !== null) parts.push(secondsText(ROWS.seconds[place]));
  return parts.join(" · ");
}

function markChosen() {
  for (const option of list.children) {
    const isChosen = option.id === `item-${chosen}`;
    option.setAttribute("aria-selected", isChosen);
    option.classList.toggle("chosen", isChosen);
  }
  if (chosen >= drawn[0] && chosen < drawn[1]) list.setAttribute("aria-activedescendant", `item-${chosen}`);
  else list.removeAttribute("aria-activedescendant");
}

function reveal(at) {
  const height = itemHeight();
  if (scroller.scrollHeight <= scroller.clientHeight + 1) return; // the whole page scrolls
  const top = at * height;
  if (top < scroller.scrollTop) scroller.scrollTop = top;
  else if (top + height > scroller.scrollTop + scroller.clientHeight) {
    scroller.scrollTop = top + height - scroller.clientHeight;
  }
}
