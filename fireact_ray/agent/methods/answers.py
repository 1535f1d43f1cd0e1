"""What a reply of one answer says, in the form that IO and CoT ask for or in another that cannot be mistaken.

    Thought: The lake is deep.          **Thought:** The lake is deep.         The lake is \\boxed{410 m} deep.
    Answer: 410 m                       **Final Answer:** 410 m                <answer>410 m</answer>

A reply that gives different answers in such forms gives none.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from fireact_ray.core import dialect, grammar
from fireact_ray.core.boxed import boxes
from fireact_ray.core.calls import read_answer
from fireact_ray.core.labels import opened_by

_ANSWER = re.compile(r"^Answer:[ \t]*(.+)$", re.MULTILINE)
_LABEL = re.compile(
    r"^(?P<indent>[ \t]*)(?P<bullets>(?:(?:[-*+•]|\#{1,6}|\d{1,2}[.)])[ \t]+){0,3})(?P<open>\*{1,3}|_{1,3}|`{1,3}|)"
    r"(?P<name>(?:final[ _]?)?answer)(?P<close>[*_`]{0,3})[ \t]*(?P<colon>[:：])(?P<after>(?(open)[*_`]{0,3}))",
    re.MULTILINE | re.IGNORECASE | re.ASCII,
)
_TAG = re.compile(r"<answer>(.*?)</answer>", re.DOTALL | re.IGNORECASE)


class Answered(NamedTuple):
    """`answer` is canonical, and empty where the reply gives none, or several."""

    thought: str
    answer: str
    repairs: tuple[str, ...] = ()


def read_answered(text: str) -> Answered:
    match = _ANSWER.search(text)
    if match is not None:
        return _answered(text[: match.start()], match.group(1), set())
    labels = list(_LABEL.finditer(text))
    if labels:
        starts = [label.start() for label in labels[1:]]
        blocks = zip(labels, [*starts, len(text)], strict=True)
        answers = {read_answer(text[label.end() : end], opened_by(label)) for label, end in blocks}
        if len(answers) == 1:
            return _answered(text[: labels[0].start()], answers.pop(), _repairs(labels[0]))
        return _answered(text, "", set())
    if "<" in text and (tagged := {inner.strip() for inner in _TAG.findall(text)}):
        return _answered(_TAG.split(text)[0], tagged.pop() if len(tagged) == 1 else "", {"answer_tag"})
    if found := boxes(text):
        boxed = {inner for box in found if (inner := box.inner.strip())}
        return _answered(text, boxed.pop() if len(boxed) == 1 else "", {"boxed"})
    parsed = dialect.read(text)
    if parsed.action is not None and parsed.action.tool == "finish":
        return Answered(parsed.thought, parsed.action.argument, tuple(sorted({*parsed.repairs, "finish_action"})))
    return _answered(text, "", set())


def _answered(before: str, answer: str, repairs: set[str]) -> Answered:
    thought, of_thought = dialect.thought_of(before)
    plain = grammar.canonical_argument(answer)
    if plain[:1] in ("*", "_", "`", "\\", "$") and (bare := read_answer(answer)) != plain:
        plain, repairs = bare, repairs | ({"boxed"} if "boxed" in answer else {"bold_label"})
    return Answered(thought, plain, tuple(sorted(repairs.union(of_thought))) if plain else ())


def _repairs(label: re.Match[str]) -> set[str]:
    marks = label["open"] + label["close"] + label["after"]
    found = {
        "indented": label["indent"],
        "bullet": label["bullets"],
        "code_fence": "`" in marks,
        "bold_label": "*" in marks or "_" in marks,
        "final_answer": len(label["name"]) > len("answer"),
        "letter_case": label["name"] not in ("Answer", "Final Answer"),
        "full_width": label["colon"] != ":",
    }
    return {name for name, is_there in found.items() if is_there} or {"line_break"}
