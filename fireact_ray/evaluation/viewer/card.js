"use strict";
// A card: one trajectory to read, or two on the same question.

const NUMBERS = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const UNKNOWN = "unknown"; // never 0
const LONG = 900; // characters of an observation that are shown at once

function drawCard(item, terms, isCompared) {
  if (!item) return [h("p", "nothing", "Choose a row to read it.")];
  const place = item.first ?? item.second;
  const faces = item.first !== null && item.second !== null;
  const bodies = item.places.map(bodyOf);
  const expected = bodies.map((body) => body.expected || []).find((answers) => answers.length) || [];
  const columns = item.places.map((at, n) => drawSide(at, bodies[n], terms, isCompared, differsFrom(bodies)));
  return [
    h("header", "asking",
      h("p", "place", badge(item.outcome), h("span", "", placeText(place))),
      h("h2", "question", ...marked(questionOf(item), terms)),
      expected.length
        ? h("p", "expected", h("span", "label", "Expected"), ...marked(expected.join("  or  "), terms))
        : null),
    h("div", faces ? "sides two" : "sides", ...columns),
  ];
}

function placeText(place) {
  return [ROWS.task[place], ROWS.kind[place]].filter(Boolean).join(" · ");
}

// The first step at which two trajectories do something else; -1 where there is none, or only one to look at.
function differsFrom(bodies) {
  if (bodies.length < 2) return -1;
  const [a, b] = bodies.map((body) => (body.steps || []).map((step) => `${step.tool} ${step.argument}`));
  const at = Array.from({ length: Math.max(a.length, b.length) }, (_, n) => n).find((n) => a[n] !== b[n]);
  return at ?? -1;
}

function drawSide(place, body, terms, isCompared, differs) {
  const system = INDEX.systems[ROWS.system[place]];
  const head = isCompared ? h("h3", "system", h("span", "", system.name), badge(ROWS.verdict[place])) : null;
  const side = h("div", "");
  if (body.error) side.append(h("p", "error", h("span", "label", "Error"), ...marked(body.error, terms)));
  if (body.fault) side.append(...drawUnreadable(body, terms));
  const isTrained = ROWS.trained[place] !== null;
  const steps = (body.steps || []).map((step, n) => {
    return drawStep(step, n, { terms, isTrained, differs: n === differs, place });
  });
  if (steps.length) side.append(h("ol", isTrained ? "steps trained" : "steps", ...steps));
  if (body.steps && ROWS.answer[place] === null) {
    side.append(h("p", "unanswered", badge(ROWS.verdict[place]), `No answer: ${ROWS.stop[place].replace("_", " ")}.`));
  }
  side.append(...[drawTraining(place, body), drawLint(place), drawOrigin(place, system)].filter(Boolean));
  return h("section", "side", head, drawFacts(place, body), side);
}

function drawFacts(place, body) {
  if (body.fault) return h("dl", "measures");
  const facts = [
    ["method", ROWS.method[place]],
    ["model", body.model],
    ["attempt", body.attempt ? String(body.attempt + 1) : ""],
    ["steps", numberText(ROWS.steps[place])],
    ["searches", numberText(ROWS.searches[place])],
    ["time", secondsText(ROWS.seconds[place]) || UNKNOWN],
    ["tokens", numberText(ROWS.tokens[place]) || UNKNOWN],
    ["cost", ROWS.cost[place] === null ? UNKNOWN : usdText(ROWS.cost[place])],
    ["F1", ROWS.f1[place] > 0 && ROWS.f1[place] < 1 ? ROWS.f1[place].toFixed(2) : ""],
  ];
  const shown = facts.filter(([, value]) => value);
  return h("dl", "measures", ...shown.map(([name, value]) => h("div", "", h("dt", "", name), h("dd", "", value))));
}

function drawUnreadable(body, terms) {
  const said = body.turns || [];
  const turns = said.map(([role, text]) => h("div", "turn", h("p", "label", role), clippable(text, terms)));
  return [h("p", "error", h("span", "label", "Cannot be read"), ...marked(body.fault, terms)), ...turns];
}

function drawStep(step, n, { terms, isTrained, differs, place }) {
  const said = h("div", isTrained ? "said trained" : "said");
  if (step.thought) said.append(h("p", "thought", ...marked(step.thought, terms)));
  if (step.tool) said.append(drawAction(step, terms, place));
  else said.append(h("p", "no-action", "No usable action in this reply."));
  const parts = [said];
  if (step.reasoning) parts.push(folded("Hidden reasoning, never trained", step.reasoning, terms));
  if (step.received) parts.push(folded("Reply as received", step.received, terms));
  if (step.observation) {
    const status = step.status === "ok" ? "" : step.status === "empty" ? "nothing found" : "error";
    const shown = h("div", "observation", clippable(step.observation, terms));
    if (status) shown.prepend(h("span", `status ${step.status}`, status));
    parts.push(shown);
  }
  parts.push(drawMeasures(step));
  const item = h("li", "step", differs ? h("p", "differs", "They differ from here") : null, ...parts.filter(Boolean));
  item.dataset.number = n + 1;
  return item;
}

function drawAction(step, terms, place) {
  const isAnswer = step.tool === "finish";
  const label = isAnswer ? "Answer" : step.tool;
  const action = h("p", isAnswer ? "action answer" : "action");
  action.append(h("span", "tool", label), h("span", "argument", ...marked(step.argument || "", terms)));
  if (isAnswer) action.append(badge(ROWS.verdict[place]));
  return action;
}

function drawMeasures(step) {
  const parts = [];
  if (step.model_s) parts.push(`model ${secondsText(step.model_s)}`);
  if (step.tool_s) parts.push(`search ${secondsText(step.tool_s)}`);
  if (step.prompt || step.completion) {
    parts.push(`${numberText(step.prompt || 0)} + ${numberText(step.completion || 0)} tokens`);
  }
  if (step.repairs) parts.push(`read as ${step.repairs.join(", ")}`);
  return parts.length ? h("p", "cost", parts.join(" · ")) : null;
}

function drawTraining(place, body) {
  if (ROWS.trained[place] === null) return null;
  const size = `${numberText(ROWS.trained[place])} of ${numberText(body.length)} tokens are trained`;
  if (!body.pieces) return h("p", "training", h("span", "label", "Training row"), size);
  const row = h("pre", "row", ...body.pieces.map(([text, isTrained]) => h(isTrained ? "b" : "span", "", text)));
  return h("details", "training", h("summary", "", h("span", "label", "Training row"), size), row);
}

function drawLint(place) {
  const codes = ROWS.lint[place];
  if (!codes.length) return null;
  const found = codes.map((code) => h("li", "", h("code", "", code), h("span", "", INDEX.lint[code])));
  return h("section", "lint", h("p", "label", "Lint"), h("ul", "", ...found));
}

function drawOrigin(place, system) {
  return h("p", "origin", h("code", "", `fireact show ${system.place} --row ${ROWS.row[place]}`));
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

function numberText(value) {
  return value === null || value === undefined ? "" : NUMBERS.format(value);
}

function usdText(value) {
  return `$${value >= 1 ? value.toFixed(2) : value.toPrecision(2)}`;
}
