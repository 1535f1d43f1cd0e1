"""Answers as one page of HTML: no script, no file beside it; for a phone, for a screen by night, and for paper."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from importlib import resources
from itertools import count

from fireact_ray.evaluation.experiments.plots import svg_of
from fireact_ray.evaluation.experiments.shown import Answer, Figure, Row, Section, Table, Value


def page_of(title: str, answers: Sequence[Answer]) -> str:
    """Every text in it is data: it is escaped."""
    style = (resources.files("fireact_ray.evaluation.experiments") / "page.css").read_text(encoding="utf-8")
    links = "".join(f'<li><a href="#{_id(answer)}">{escape(answer.name)}</a></li>' for answer in answers)
    contents = f"<nav><ul>{links}</ul></nav>\n" if len(answers) > 1 else ""
    numbers = count()
    body = "".join(_answer(answer, numbers) for answer in answers)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n<main>\n<h1>{escape(title)}</h1>\n{contents}{body}</main>\n</body>\n</html>\n"
    )


def _answer(answer: Answer, numbers: Iterator[int]) -> str:
    facts = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in answer.facts)
    sections = "".join(_section(section, numbers) for section in answer.sections)
    return (
        f'<section id="{_id(answer)}">\n<h2>{escape(answer.name)}</h2>\n'
        f'<p class="question">{escape(answer.question)}</p>\n<dl>{facts}</dl>\n{sections}</section>\n'
    )


def _section(section: Section, numbers: Iterator[int]) -> str:
    figures = (_figure(figure, next(numbers)) for figure in section.figures if not figure.is_empty)
    return "".join([*map(_table, section.tables), *figures])


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in table.columns)
    rows = "".join(_row(row, len(table.columns)) for row in table.rows)
    notes = "".join(f'<p class="note">{escape(note)}</p>\n' for note in table.notes)
    title = escape(table.title)
    return (
        f'<h3>{title}</h3>\n<div class="wide" tabindex="0" role="region" aria-label="{title}">'
        f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n{notes}"
    )


def _row(row: Row, n_columns: int) -> str:
    label = f'<th scope="row">{escape(row.label)}</th>'
    if row.origin == "failed":
        why = f"<span>{escape(row.label)}</span>"
        return f'<tr class="failed"><th scope="row" colspan="{n_columns}">{why}</th></tr>\n'
    return f'<tr class="{row.origin}">{label}{"".join(map(_cell, row.values))}</tr>\n'


def _cell(value: Value) -> str:
    """The interval in small, and the rows that the number came from where a pointer rests on it."""
    number, bracket, interval = value.text.partition(" [")
    small = f" <small>[{escape(interval)}</small>" if bracket else ""
    source = f' title="{escape(", ".join(value.rows))}"' if value.rows else ""
    return f"<td{source}>{escape(number)}{small}</td>"


def _figure(figure: Figure, number: int) -> str:
    return f"<figure>\n<figcaption>{escape(figure.title)}</figcaption>\n{svg_of(figure, number)}</figure>\n"


def _id(answer: Answer) -> str:
    return escape(answer.name)
