"""Which task a row or file of others belongs to: as it says, or as a question shows. Nothing is guessed.

    {"task": "strategy_qa"}, {"data_source": "hotpot_qa"}, hotpotqa_dev_0_500.json     it says so
    four choices, lettered A to D, and a letter as the answer                          MMLU shows so

A yes/no question may be HotpotQA's as well as StrategyQA's, so that it shows nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

KEYS = ("task", "dataset", "data_source", "dataset_name", "source")  # of a row that says its task
_NAMES = {"hotpot": "hotpotqa", "strategyqa": "strategyqa", "bamboogle": "bamboogle", "mmlu": "mmlu"}
_NO_LETTER = re.compile(r"[^a-z0-9]+")
_FOUR_CHOICES = re.compile(r"\n\(?A[.):].*\n\(?B[.):].*\n\(?C[.):].*\n\(?D[.):][^\n]*\s*\Z", re.IGNORECASE)
_A_LETTER = re.compile(r"\(?[A-D]\)?\.?", re.IGNORECASE)


def task_named(text: str) -> str | None:
    """The one task whose name stands in a text, however it is written; None where none does, or several."""
    plain = _NO_LETTER.sub("", text.lower())
    found = [task for name, task in _NAMES.items() if name in plain]
    return found[0] if len(found) == 1 else None


def task_said(row: Mapping[str, Any]) -> tuple[str, str] | None:
    """The task that a row says it is of, and the key that says so."""
    for key in KEYS:
        value = row.get(key)
        if isinstance(value, str) and (task := task_named(value)):
            return task, key
    return None


def task_shown(question: str, answer: str | None) -> str | None:
    """The task that a question and its answer can only be of."""
    is_choice = answer is not None and _A_LETTER.fullmatch(answer) and _FOUR_CHOICES.search(question)
    return "mmlu" if is_choice else None
