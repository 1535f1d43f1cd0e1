"use strict";
// Follow-up questions: the question that is written next goes on with an entry, with what was asked and answered there.

let followed = null; // what the next question follows: a question, and of each agent its answer and what came before

function canBeFollowed(entry) {
  return entry.runs.some((run) => run.answer !== null);
}

// Of an entry, or of what was followed before; null: of nothing.
function followUp(entry) {
  const told = ({ model, earlier, answer }) => ({ model, earlier, answer });
  followed = entry && { question: entry.question, runs: entry.runs.map(told) };
  $("followed").textContent = entry ? visible(inline(entry.question)) : "";
  $("follows").hidden = entry === null;
}

// What an agent has heard before: pairs of question and answer, the oldest first. An agent that was not asked, or had no
// answer, goes on with what another one answered.
function earlierFor(model, entry) {
  if (!entry) return [];
  const answered = entry.runs.filter((run) => run.answer !== null);
  const run = answered.find((found) => found.model === model) || answered[0];
  return run ? [...run.earlier, [entry.question, run.answer]] : [];
}

// A question as the server is asked it: alone, or as the last turn of a conversation.
function inputOf(question, earlier) {
  if (!earlier.length) return question;
  const turns = earlier.flatMap(([asked, answer]) => [["user", asked], ["assistant", answer]]);
  return [...turns, ["user", question]].map(([role, content]) => ({ role, content }));
}

// What was said before, in a line for each question; answers that differ stand beside each other.
function drawEarlier(runs) {
  const lines = runs[0].earlier.map(([question], n) => {
    const answers = [...new Set(runs.map((run) => run.earlier[n]?.[1]).filter(Boolean))];
    return h("li", "", h("span", "", visible(inline(question))),
      h("b", "", answers.map((answer) => visible(inline(answer))).join(" / ")));
  });
  return lines.length ? h("ol", "earlier", ...lines) : null;
}
