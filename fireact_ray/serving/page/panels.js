"use strict";
// What stands around the question: the key, the colours, the history as a panel, problems.

const THEMES = { "": "Auto", light: "Light", dark: "Dark" };
const NARROW = window.matchMedia("(max-width: 860px)");

function showProblem(text) {
  $("problem").textContent = visible(text);
  $("problem").hidden = !text;
}

function askForKey() {
  $("key-problem").textContent = apiKey ? "The server does not take this key." : "";
  if (!$("key-dialog").open) $("key-dialog").showModal();
}

function leaveKey() {
  $("key-dialog").close();
  if (!models.length) showProblem("This server answers only with a key. Ask, and it is wanted again.");
}

function takeKey(event) {
  event.preventDefault();
  apiKey = $("key").value.trim();
  $("key").value = "";
  $("key-dialog").close();
  connected();
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
