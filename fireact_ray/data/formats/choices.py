"""The text of an Alpaca `output` before its first label in, what it is out.

Where a prompt was cut at its first line, the rest of the question stands there:

    instruction: Question: Which of these is a river?
    output:      A. Ossel
                 B. Mount Tarn
                 Thought: The Ossel is a river.
                 ...
"""

from __future__ import annotations

import re

_LABEL = re.compile(
    r"^[ \t]*[*_#]*(?:(?P<thought>Thought)|Action|Observation)[ \t]*\d*[*_]*[ \t]*[:\uff1a]",
    re.MULTILINE | re.IGNORECASE,
)
_CHOICE = re.compile(r"\(?([A-Z])(?:[.):\uff1a]|\s-)\)?\s*\S", re.IGNORECASE)
_IN_LINE = re.compile(r"(?:^|\s)\(?([A-Z])[.)]\s", re.IGNORECASE)
_HEADING = re.compile(r"(?:answer )?(?:choices|options)[:.]?", re.IGNORECASE)


def before_label(reply: str) -> tuple[str, str, bool]:
    """What stands before the first label, what follows from it on, and whether that label is a thought's.

    Without any label, nothing stands before one.
    """
    if reply.startswith("Thought:"):
        return "", reply, True
    label = _LABEL.search(reply)
    if label is None:
        return "", reply, False
    return reply[: label.start()].strip(), reply[label.start() :], label["thought"] is not None


def are_choices(text: str) -> bool:
    """Two or more answers to choose from, lettered from A: one a line, or all in one line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if lines and _HEADING.fullmatch(lines[0]):
        lines = lines[1:]
    if len(lines) == 1:
        letters = [match[1] for match in _IN_LINE.finditer(lines[0])] if _CHOICE.match(lines[0]) else []
    else:
        letters = [match[1] if (match := _CHOICE.match(line)) else "" for line in lines]
    return len(letters) > 1 and "".join(letters).upper() == "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(letters)]
