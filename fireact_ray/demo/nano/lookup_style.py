"""In which labels, brackets and words a log of look-ups is written: the same throughout one document."""

from __future__ import annotations

import random
from dataclasses import dataclass

from fireact_ray.demo.nano.parts import JUDGEMENTS, ORDERS, SUMS

_OWN_LABELS = ("Thought", "Action", "Observation")  # of the project's grammar; never all three


@dataclass(frozen=True)
class Style:
    """What stays the same within one document."""

    ask: str
    note: str  # empty: no notes
    act: str
    seen: str
    find: str
    finish: str
    brackets: tuple[str, str]
    ends_turns: bool
    restates: bool  # a note repeats all that was found so far
    plan: int
    need: str
    left: int
    done: str
    order: int  # forms of parts.ORDERS, JUDGEMENTS and SUMS
    judge: int
    add: int


DIALECTS = (
    Style(
        ask="Task",
        note="Note",
        act="Call",
        seen="Result",
        find="query",
        finish="done",
        brackets=("<", ">"),
        ends_turns=False,
        restates=False,
        plan=1,
        need="Look up {}.",
        left=1,
        done="So it is {}.",
        order=0,
        judge=0,
        add=0,
    ),
    Style(
        ask="Request",
        note="Plan",
        act="Do",
        seen="Output",
        find="lookup",
        finish="say",
        brackets=("(", ")"),
        ends_turns=False,
        restates=True,
        plan=4,
        need="Unknown: {}.",
        left=3,
        done="That makes {}.",
        order=2,
        judge=1,
        add=3,
    ),
    Style(
        ask="Q",
        note="Idea",
        act="Tool",
        seen="Return",
        find="get",
        finish="end",
        brackets=(": ", ""),
        ends_turns=True,
        restates=False,
        plan=2,
        need="I want {}.",
        left=2,
        done="Answer: {}.",
        order=6,
        judge=2,
        add=2,
    ),
)


def draw_dialect(rng: random.Random) -> Style:
    """What most logs are written in."""
    return rng.choice(DIALECTS)


def draw_style(rng: random.Random) -> Style:
    """A style of its own: what it is, a reader has to find out from the document."""
    labels = tuple(
        rng.choice(words.split())
        for words in (
            "Note Plan Idea Reason Comment Thought",
            "Do Step Call Tool Command Action",
            "Result Seen Output Reply Return Observation",
        )
    )
    if labels == _OWN_LABELS:
        return draw_style(rng)
    return Style(
        ask=rng.choice(("Q", "Task", "Request", "Question", "Ask")),
        note=labels[0] if rng.random() < 0.92 else "",
        act=labels[1],
        seen=labels[2],
        find=rng.choice(("lookup", "query", "find", "ask", "get", "search")),
        finish=rng.choice(("done", "answer", "return", "say", "end", "finish")),
        brackets=rng.choice((("[", "]"), ("[", "]"), ("(", ")"), ("<", ">"), (": ", ""))),
        ends_turns=rng.random() < 0.6,
        restates=rng.random() < 0.4,
        plan=rng.randrange(5),
        need=rng.choice(("Find {}.", "Look for {}.", "Look up {}.", "I want {}.", "I need {}.", "Unknown: {}.")),
        left=rng.randrange(4),
        done=rng.choice(("So it is {}.", "That makes {}.", "The answer is {}.", "Answer: {}.", "So {}.")),
        order=rng.randrange(len(ORDERS)),
        judge=rng.randrange(len(JUDGEMENTS)),
        add=rng.randrange(len(SUMS)),
    )
