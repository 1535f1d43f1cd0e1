"use strict";
// The head of the page: which systems are shown, how they did, and what can be chosen.

function drawSystems() {
  const named = INDEX.systems.map((system, number) => [number, `${system.name} (${numberText(system.n_shown)})`]);
  fill($("show"), named, state.show);
  const others = named.filter(([number]) => isComparable(number, state.show));
  fill($("against"), [["", "nothing"], ...others], state.against ?? "");
  $("show").parentElement.hidden = named.length < 2;
  $("against").parentElement.hidden = !others.length;
}

function drawOverview() {
  const numbers = [state.against, state.show].filter((number) => number !== null);
  const systems = numbers.map((number) => INDEX.systems[number]);
  const rows = systems.map((system, n) => {
    const share = h("p", "share", shareText(system), h("span", "unit", system.right === null ? "unscored" : "% right"));
    const name = h("strong", "", system.name, n ? differenceText(...systems) : "");
    return h("div", "measured", share, h("p", "whose", name, h("span", "", measuresText(system))));
  });
  $("overview").replaceChildren(...rows);
}

function shareText(system) {
  return system.right === null ? "–" : (100 * system.right).toFixed(1);
}

// In points, where both answered the same questions.
function differenceText(base, system) {
  if (base.right === null || system.right === null || items.some((item) => item.places.length < 2)) return "";
  const points = 100 * (system.right - base.right);
  return h("span", "difference", `${points < 0 ? "−" : "+"}${Math.abs(points).toFixed(1)} points`);
}

function measuresText(system) {
  const per = [
    ["searches", system.searches === null ? null : system.searches.toFixed(1)],
    ["s", system.seconds === null ? null : system.seconds.toFixed(1)],
    ["tokens", system.tokens === null ? null : numberText(Math.round(system.tokens))],
  ];
  const known = per.filter(([, value]) => value !== null).map(([unit, value]) => `${value} ${unit}`);
  const cost = system.cost === null ? " · cost unknown" : ` · ${usdText(system.cost)} in all`;
  return `${numberText(system.n_shown)} rows${known.length ? ` · ${known.join(", ")} each` : ""}${cost}`;
}

function drawOutcomes(counts) {
  const all = choices.outcomes;
  const names = OUTCOMES[state.against === null ? "one" : "two"].filter((name) => all.get(name));
  $("outcomes").replaceChildren(...names.map((name) => {
    const count = h("b", "", numberText(counts.get(name) || 0));
    const chip = h("button", `outcome ${name.replace(" ", "-")}`, count, outcomeText(name));
    chip.type = "button";
    chip.setAttribute("aria-pressed", state.wanted.outcome === name);
    chip.style.flexGrow = String(all.get(name) / items.length);
    chip.addEventListener("click", () => want("outcome", state.wanted.outcome === name ? "" : name));
    return chip;
  }));
}

function outcomeText(name) {
  const only = { "only first": state.against, "only second": state.show }[name];
  return only === undefined || only === null ? name : `only ${INDEX.systems[only].name}`;
}

function drawFacets(counts) {
  const selects = choices.facets.map(([name, values]) => {
    const sized = values.map((value) => [value, counts[name].get(value) || 0]);
    sized.sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
    const options = sized.map(([value, n]) => [value, `${inline(value)} (${numberText(n)})`]);
    return facet(name, [["", `${FACETS[name]}: all`], ...options], state.wanted[name], (value) => want(name, value));
  });
  const sort = facet("sort", choices.sorts.map((by) => [by, `Order: ${SORTS[by]}`]), state.sort, (by) => {
    state.sort = by;
    update();
  });
  const focused = document.activeElement?.dataset?.facet;
  $("facets").replaceChildren(...selects, sort);
  if (focused) $("facets").querySelector(`[data-facet="${focused}"]`)?.focus();
}

function facet(name, options, value, onChange) {
  const select = h("select", value ? "set" : "");
  select.dataset.facet = name;
  select.setAttribute("aria-label", FACETS[name] || "Order");
  fill(select, options, value);
  select.addEventListener("change", () => onChange(select.value));
  return select;
}
