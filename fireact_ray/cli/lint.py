"""The lint of files and run folders, as the command line offers it: what to compare with, a table, a verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table

from fireact_ray.core.calls import TOOLS
from fireact_ray.core.errors import DataError, InputError
from fireact_ray.core.utils.text import nearest
from fireact_ray.data.formats.records import read_questions, read_records
from fireact_ray.data.lint import RULES
from fireact_ray.data.lint.base import CHARS_PER_TOKEN, Context, estimated_tokens
from fireact_ray.data.lint.lint import LintReport, lint
from fireact_ray.recipe.evaluation_questions import evaluation_questions
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.student import base_model_dir

_SHOWN_ROWS = 8


def lint_path(
    path: str,
    *,
    against: str | None = None,
    recipe: str | None = None,
    tokenizer: str | None = None,
    max_tokens: int = 2048,
    near_duplicate: float = 0.8,
) -> LintReport:
    """What is wrong with the rows of a file or run folder.

    `against`: a file or folder of evaluation questions, or of trajectories that hold them; `recipe`: one whose
    evaluation questions count, too, and whose `search.aliases` name the tools. `tokenizer`: a model's folder or id;
    None estimates tokens by characters.
    Raises InputError for what cannot be read.
    """
    loaded = load_recipe(recipe) if recipe is not None else None
    records = read_records(path, loaded.search.names if loaded else TOOLS)
    count = _token_counter(tokenizer) if tokenizer else estimated_tokens
    return lint(records, Context(max_tokens, count, near_duplicate, questions=_questions(against, loaded)))


def check_codes(codes: Sequence[str], *, with_questions: bool) -> None:
    """Raises InputError for an unknown code, or one that nothing was given for."""
    for code in codes:
        if code not in RULES:
            near = nearest(code, RULES)
            hint = f" Did you mean '{near}'?" if near else ""
            raise InputError(f"--fail-on: unknown rule '{code}'.{hint} Known: {', '.join(RULES)}.")
        if code == "contaminated" and not with_questions:
            raise InputError("--fail-on contaminated: there is nothing to compare with. Give --against or --recipe.")


def demand_none(report: LintReport, codes: Sequence[str]) -> None:
    """Raises DataError where a rule of `codes` found a row."""
    found = [f"{code}: {len(report.rows[code])} rows" for code in codes if report.rows[code]]
    if found:
        raise DataError(f"Of {report.n_rows} rows: {', '.join(found)}.")


def print_report(report: LintReport, console: Console, *, estimated: bool) -> None:
    table = Table("rule", title=f"{report.n_rows} rows", title_justify="left")
    for name in ("rows", "share"):
        table.add_column(name, justify="right")
    table.add_column("first rows")
    for code, rows in report.rows.items():
        shown = " ".join(str(row) for row in rows[:_SHOWN_ROWS]) + (" ..." if len(rows) > _SHOWN_ROWS else "")
        table.add_row(code, str(len(rows)), _share(len(rows), report.n_rows), shown, style=None if rows else "dim")
    for code in report.unchecked:
        table.add_row(code, "-", "-", "not checked: give --against or --recipe", style="dim")
    console.print(table)
    if estimated:
        console.print(f"too_long: tokens estimated, {CHARS_PER_TOKEN:g} characters each; --tokenizer counts them")


def _share(count: int, n_rows: int) -> str:
    return f"{100 * count / n_rows:.1f} %" if n_rows else "-"


def _questions(against: str | None, recipe: Recipe | None) -> list[str] | None:
    if against is None and recipe is None:
        return None
    texts = read_questions(against) if against is not None else []
    if recipe is not None:
        texts += evaluation_questions(recipe)
    return texts


def _token_counter(model: str) -> Callable[[str], int]:
    from fireact_ray.rendering.tokenizer import HubTokenizer

    tokenizer = HubTokenizer.load(base_model_dir(model))
    return lambda text: len(tokenizer.encode(text))
