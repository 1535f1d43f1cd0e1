"""MMLU (Hendrycks et al., 2021): four-choice questions in 57 subjects, scored by accuracy.

One row of {subject}_{dev,val,test}.csv, which have no header (question, A, B, C, D, letter):

    What does the acronym GDP stand for?,Gross domestic product,Global debt,Gross demand,General duty,A

The question shown to a model includes the choices:

    What does the acronym GDP stand for?
    A. Gross domestic product
    B. Global debt
    ...
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import zip_longest
from pathlib import PurePosixPath

from fireact_ray.core.errors import InputError
from fireact_ray.core.storage.source import kind_of, names_in, within
from fireact_ray.core.types import Question, Score
from fireact_ray.tasks.answer_metrics import AnswerMetrics, choice_metrics
from fireact_ray.tasks.base import Task
from fireact_ray.tasks.fetching.sources import how_to_get
from fireact_ray.tasks.forms import CLOSING, OPENING, bare
from fireact_ray.tasks.loading import build, data_path, listing, question_id, read_csv_rows

NAME = "mmlu"
LETTERS = ("A", "B", "C", "D")

_PACKED = re.compile(r"\.(gz|zst)$")
_CHOICE = re.compile(r"^([A-D])\. (.*)$", re.MULTILINE)
_BARE_LETTER = re.compile(r"\(?([A-D])[).:]*", re.IGNORECASE)
_LETTER_FIRST = re.compile(rf"{OPENING}([A-D])[.:{CLOSING}]+\s", re.IGNORECASE)


def load(path: str | None, split: str) -> list[Question]:
    """Questions of one CSV, or of all subjects of a folder for `split`: one of each subject, then the next of each, so
    that the first n questions are of all subjects and not of those whose names come first. Raises InputError."""
    expected = f"one of MMLU's CSV files, or a folder with <subject>_{split}.csv files"
    found = data_path(NAME, path, expected)
    if kind_of(found) == "file":
        return _load_subject(found)
    files = _subjects(found, split) or _subjects(within(found, split), split)
    if not files:
        raise InputError(
            f"Task '{NAME}': no *_{split}.csv in {found} or {within(found, split)}; {listing(found)}. "
            f"MMLU's splits are dev, val and test.{how_to_get(NAME, found)}"
        )
    turns = zip_longest(*map(_load_subject, files))
    return [question for turn in turns for question in turn if question is not None]


def score(question: Question, answer: str | None) -> Score:
    """1 where the answer names the right choice: "B", "(B)", "**B**", "Answer: B", "B. $3k" or the choice's
    text. F1 equals EM."""
    right = float(answer is not None and question.answers[0] in _letters_meant(question, answer.strip()))
    return Score(right, right)


def metrics(question: Question, answer: str | None) -> AnswerMetrics:
    return choice_metrics(score(question, answer).exact_match)


def _subjects(folder: str, split: str) -> list[str]:
    names = names_in(folder) if kind_of(folder) == "folder" else []
    return [within(folder, name) for name in names if _is_csv_of(name, split)]


def _is_csv_of(name: str, split: str) -> bool:
    return _PACKED.sub("", name).endswith(f"_{split}.csv")


def _load_subject(file: str) -> list[Question]:
    subject = re.sub(r"(_(dev|val|test))?\.\w+$", "", _PACKED.sub("", PurePosixPath(file).name))
    seen: Counter[str] = Counter()

    def question_of(row: list[str]) -> Question | None:
        right = _BARE_LETTER.fullmatch(bare(row[5])) if len(row) == 6 else None
        if right is None or not all(cell.strip() for cell in row):
            return None
        letter = right.group(1).upper()
        # A choice is one line, so that the lettered lines of a question are its choices.
        choices = [" ".join(cell.split()) for cell in row[1:5]]
        lettered = [f"{name}. {choice}" for name, choice in zip(LETTERS, choices, strict=True)]
        text = "\n".join([row[0].strip(), *lettered])
        # The official files repeat some rows; each stays a question, so that scores compare with published.
        row_id = f"{subject}/{question_id(NAME, text)}"
        seen[row_id] += 1
        row_id += f"-{seen[row_id]}" if seen[row_id] > 1 else ""
        return Question(NAME, row_id, text, (letter, choices[LETTERS.index(letter)]), subject)

    rows = enumerate(read_csv_rows(NAME, file), start=1)
    return build(NAME, file, rows, question_of, "six cells (question, four choices, one of A, B, C, D)")


def _letters_meant(question: Question, answer: str) -> set[str]:
    """The letters an answer can stand for: several only where choices have the same text.

    Case matters between choices ("BB Bb", "Bb Bb") and punctuation is part of them ("-1", "1"), so texts are
    compared as they are, and without case only where that leaves a single choice.
    """
    inner = bare(answer)
    if letter := _BARE_LETTER.fullmatch(inner):
        return {letter.group(1).upper()}
    choices = _CHOICE.findall(question.text)[-len(LETTERS) :]
    for text in dict.fromkeys((_plain(answer), _plain(inner))):
        if exact := {letter for letter, choice in choices if _plain(choice) == text}:
            return exact
        alike = {letter for letter, choice in choices if _plain(choice).casefold() == text.casefold()}
        if len(alike) == 1:
            return alike
    first = _LETTER_FIRST.match(inner)
    return {first.group(1).upper()} if first else set()


def _plain(text: str) -> str:
    return " ".join(text.split()).rstrip(".")


MMLU = Task(NAME, load, score, metrics=metrics)
