"""The lint rules as Markdown, for docs/data.md: `python -m fireact_ray.data.lint.describe` prints it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from fireact_ray.data.lint import RULES
from fireact_ray.data.lint.base import Rule

_MAX_CHARS = 120  # of a turn


def rules_markdown() -> str:
    return "\n".join(_section(rule) for rule in RULES.values())


def _section(rule: Rule) -> str:
    rows = "\n\n".join(_transcript(row) for row in rule.example)
    rows = f"  System: {rule.system}\n{rows}" if rule.system else rows
    return f"**`{rule.code}`** {rule.reason}\n\n```\n{rows}\n```\n"


def _transcript(turns: Sequence[str]) -> str:
    """A row's turns, `|` before the assistant's lines."""
    return "\n".join(_indented(turn, "| " if place % 2 else "  ") for place, turn in enumerate(turns))


def _indented(turn: str, mark: str) -> str:
    shown = turn if len(turn) <= _MAX_CHARS else f"{turn[:_MAX_CHARS].rstrip()} ... ({len(turn)} characters)"
    return "\n".join(f"{mark}{line}" for line in shown.splitlines())


if __name__ == "__main__":
    sys.stdout.write(rules_markdown())
