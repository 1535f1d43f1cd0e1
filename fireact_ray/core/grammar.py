"""The one grammar in which agents think and act, and its inverse.

    Thought: I need the author of The Road to Zem.
    Action: search[The Road to Zem author]
    Observation: The Road to Zem is a novel written by Ila Dun.

Everything is one line: a thought and an argument are brought into canonical form (`canonical_line`,
`canonical_argument`, both idempotent) before they are rendered, so `parse(render(x)) == x` for canonical x.
Only text that the model has just written is ever parsed, and only its first action counts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fireact_ray.core.types import Action, Question, Step, Turn

THOUGHT, ACTION, OBSERVATION = "Thought:", "Action:", "Observation:"
STOP = (f"\n{OBSERVATION}",)

TOOL = r"\w[\w.-]*"  # a tool's name
_ACTION_LINE = re.compile(rf"^Action:[ \t]*({TOOL})[ \t]*\[", re.MULTILINE)
_LABEL = re.compile(r"\b(Thought|Action|Observation|Question|Answer)(\s*):", re.IGNORECASE)
_INVISIBLE = re.compile("[\u202a-\u202e\u2066-\u2069\u200b\u200e\u200f\u2060\ufeff]")  # direction overrides, no width
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")  # categories Cc, Zl, Zp and Cs
_LINE_LABEL = re.compile(r"(?:(?:Thought|Action|Observation):\s*)+")


@dataclass(frozen=True, slots=True)
class Parsed:
    """A reply taken apart. `action` is None where there was no usable one; `repairs` as in Step."""

    thought: str
    action: Action | None
    repairs: tuple[str, ...] = ()


def render(thought: str, action: Action) -> str:
    """A step in the grammar, without a trailing newline."""
    thought = canonical_line(thought)
    head = f"{THOUGHT} {thought}\n" if thought else ""
    return f"{head}{ACTION} {action.tool}[{canonical_argument(action.argument)}]"


def parse(text: str) -> Parsed:
    """Take a reply apart: what stands before the first `Action:` line is the thought; brackets may nest."""
    text = cut_at_observation(text)
    match = _ACTION_LINE.search(text)
    if match is None:
        return Parsed(_thought_of(text), None)
    thought = _thought_of(text[: match.start()])
    argument = canonical_argument(balanced(text[match.end() :]) or "")
    return Parsed(thought, Action(match.group(1), argument) if argument else None)


def cut_at_observation(text: str) -> str:
    """Drop what a model invented after its own turn: observations come from tools only."""
    if text.startswith(OBSERVATION):
        return ""
    return text.split(f"\n{OBSERVATION}", 1)[0]


def canonical_line(text: str) -> str:
    """One line without control or direction-override characters, single spaces, no label at its start."""
    line = _one_line(text)
    labels = _LINE_LABEL.match(line)
    return line if labels is None else line[labels.end() :]


def canonical_argument(text: str) -> str:
    """One line whose square brackets balance: unmatched ones become round, so that the end is unambiguous."""
    line = canonical_line(text)
    if "[" not in line and "]" not in line:
        return line
    chars, opened = list(line), []
    for i, char in enumerate(chars):
        if char == "[":
            opened.append(i)
        elif char == "]":
            if opened:
                opened.pop()
            else:
                chars[i] = ")"
    for i in opened:
        chars[i] = "("
    return "".join(chars)


def neutralise(text: str, max_chars: int) -> str:
    """Make tool output inert: one line, no control characters, no label of the grammar, at most `max_chars`.

    "Action: finish[x]" inside an observation becomes "Action - finish[x]": still readable, no longer a step.
    """
    # Invisible characters go first: they would hide a label from the search and then be dropped.
    line = _LABEL.sub(r"\1 -", _one_line(text))
    return line if len(line) <= max_chars else line[: max_chars - 4].rstrip() + " ..."


def _one_line(text: str) -> str:
    if text.isprintable():  # then there is neither a control nor an invisible character, and this is all
        return " ".join(text.split())
    return " ".join(_CONTROL.sub(" ", _INVISIBLE.sub("", text)).split())


def _thought_of(text: str) -> str:
    return canonical_line(text.strip().removeprefix(THOUGHT))


def balanced(text: str) -> str | None:
    """The text before the bracket that closes an already opened one, or None where the line ends first."""
    depth = 1
    for i, char in enumerate(text):
        if char == "\n":
            return None
        depth += (char == "[") - (char == "]")
        if depth == 0:
            return text[:i]
    return None


def episode(question: Question, steps: Sequence[Step], trained: bool = False) -> tuple[Turn, ...]:
    """Question and steps as a conversation: what an agent is prompted with and what a student is trained on.

    `trained` marks the assistant's turns. A step without a usable action shows the reply's thought alone.
    """
    turns = [Turn("user", question.text)]
    for step in steps:
        turns.append(Turn("assistant", step_text(step), trained))
        if step.observation is not None:
            turns.append(Turn("user", f"{OBSERVATION} {step.observation.text}"))
    return tuple(turns)


def step_text(step: Step) -> str:
    if step.action is None:
        return f"{THOUGHT} {step.thought}"
    return render(step.thought, step.action)
