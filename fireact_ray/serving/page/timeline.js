"use strict";
// Where a run's time went: a bar with a piece for each model call and each search, in their order and proportion.

const LEAST_S = 0.02; // what took less is no piece

// The pieces of a run; seconds that nobody measured are none.
function piecesOf(steps) {
  return steps.flatMap((step, n) => [
    { kind: "model", step: n + 1, seconds: step.model_s || 0 },
    { kind: "search", step: n + 1, seconds: step.tool_s || 0 },
  ]).filter((piece) => piece.seconds >= LEAST_S);
}

// Beside numbers that say the same, so it says nothing to whoever does not see it.
function drawTimeline(steps) {
  const bar = h("div", "timeline", ...piecesOf(steps).map(drawPiece));
  bar.setAttribute("aria-hidden", "true");
  return bar;
}

function drawPiece({ kind, step, seconds }) {
  const piece = h("span", `piece ${kind}`);
  piece.style.flexGrow = String(seconds);
  piece.title = `step ${step}: ${kind} ${secondsText(seconds)}`;
  return piece;
}
