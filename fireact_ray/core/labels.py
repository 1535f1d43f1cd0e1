"""The labels of the grammar as models write them: `**Thought 1:**`, `- ACTION :`, `Action Input:`, `Final Answer：`."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from fireact_ray.core import grammar

LABEL = re.compile(
    r"^(?P<indent>[ \t]*)(?P<bullets>(?:(?:[-*+•]|\#{1,6}|\d{1,2}[.)])[ \t]+){0,3})(?P<open>\*{1,3}|_{1,3}|`{1,3}|)"
    r"(?P<name>thought|action[ _]?input|action|observation|final[ _]?answer)(?P<number>[ \t]*\d{1,3})?"
    r"(?P<close>[*_`]{0,3})(?P<space>[ \t]*)(?P<colon>[:：])(?P<after>(?(open)[*_`]{0,3}))",
    re.MULTILINE | re.IGNORECASE | re.ASCII,
)
_CANONICAL = {"thought": grammar.THOUGHT, "action": grammar.ACTION, "observation": grammar.OBSERVATION}


def observation_label(text: str) -> re.Match[str] | None:
    """The label in any form of an observation at the head of `text`."""
    label = LABEL.match(text)
    return label if label is not None and kind_of(label) == "observation" else None


def labels(text: str) -> Iterator[re.Match[str]]:
    """Every label at the beginning of a line, in any form."""
    return LABEL.finditer(text)


@functools.lru_cache(maxsize=256)
def like(bullets: str, opening: str, numbered: bool, closing: str, colon: str, after: str, name: str) -> str:
    """A pattern of the label `name` in the form that these parts of another label have."""
    number = r"[ \t]*\d{1,3}" if numbered else ""
    marks = re.sub(r"\d+", lambda _: r"\d{1,2}", re.escape(bullets))
    return rf"[ \t]*{marks}{re.escape(opening)}{name}{number}{re.escape(closing)}[ \t]*{colon}{re.escape(after)}"


def opened_by(label: re.Match[str]) -> str:
    """The mark before a label that is not closed behind it."""
    return "" if label["close"] or label["after"] else label["open"]


def kind_of(label: re.Match[str]) -> str:
    name = label["name"].lower().replace(" ", "_")
    return {"actioninput": "action_input", "finalanswer": "final_answer"}.get(name, name)


def repairs_of(label: re.Match[str], kind: str) -> set[str]:
    """What tells a label from the grammar's."""
    if label.group() == _CANONICAL.get(kind):
        return set()
    marks = label["open"] + label["close"] + label["after"]
    found = {
        "indented": label["indent"] or label["space"],
        "bullet": label["bullets"],
        "code_fence": "`" in marks,
        "bold_label": "*" in marks or "_" in marks,
        "letter_case": kind in _CANONICAL and label["name"] != _CANONICAL[kind][:-1],
        "numbered": label["number"],
        "full_width": label["colon"] != ":",
    }
    return {name for name, is_there in found.items() if is_there}
