"use strict";
// A card: one trajectory to read, or two on the same question.

function drawCard(item, terms, isCompared) {
  if (!item) return [h("p", "nothing", "Choose a row to read it.")];
  const place = item.first ?? item.second;
  const faces = item.first !== null && item.second !== null;
  const bodies = item.places.map(bodyOf);
  const expected = bodies.map((body) => body.expected || []).find((answers) => answers.length) || [];
  const differs = differsFrom(bodies.map((body) => body.steps || []));
  const columns = item.places.map((at, n) => drawSide(at, bodies[n], terms, isCompared, differs));
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

function drawSide(place, body, terms, isCompared, differs) {
  const system = INDEX.systems[ROWS.system[place]];
  const head = isCompared ? h("h3", "system", h("span", "", system.name), badge(ROWS.verdict[place])) : null;
  const side = h("div", "");
  if (body.error) side.append(h("p", "error", h("span", "label", "Error"), ...marked(body.error, terms)));
  if (body.fault) side.append(...drawUnreadable(body, terms));
  const isTrained = ROWS.trained[place] !== null;
  const steps = (body.steps || []).map((step, n) => {
    return drawStep(step, n, { terms, isTrained, differs: n === differs, verdict: ROWS.verdict[place] });
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
    ["steps", numberText(ROWS.steps[place]) || UNKNOWN],
    ["searches", numberText(ROWS.searches[place]) || UNKNOWN],
    ["time", secondsText(ROWS.seconds[place]) || UNKNOWN],
    ["tokens", numberText(ROWS.tokens[place]) || UNKNOWN],
    ["cost", ROWS.cost[place] === null ? UNKNOWN : usdText(ROWS.cost[place])],
    ["F1", ROWS.f1[place] > 0 && ROWS.f1[place] < 1 ? ROWS.f1[place].toFixed(2) : ""],
  ];
  return measures(facts);
}

function drawUnreadable(body, terms) {
  const said = body.turns || [];
  const turns = said.map(([role, text]) => h("div", "turn", h("p", "label", role), clippable(text, terms)));
  return [h("p", "error", h("span", "label", "Cannot be read"), ...marked(body.fault, terms)), ...turns];
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

