"""Training rows of anybody: what is wrong with them, and in and out of a run folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fireact_ray.cli.options import RecipeArgument, SetOption, done, load


def lint(
    path: Annotated[str, typer.Argument(help="A run folder, a Parquet file, or JSON: Alpaca, OpenAI chat, ShareGPT.")],
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all row numbers there.")] = None,
    fail_on: Annotated[str, typer.Option(metavar="CODE[,CODE]", help="Exit with 1 where these find a row.")] = "",
    against: Annotated[str | None, typer.Option(help="Evaluation questions, or trajectories that hold them.")] = None,
    recipe: Annotated[str | None, typer.Option(help="Take the evaluation questions of this recipe.")] = None,
    tokenizer: Annotated[str | None, typer.Option(help="Count tokens by this model's tokenizer.")] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="A longer row is too long.")] = 2048,
    near: Annotated[float, typer.Option(min=0, max=1, help="Similarity of near duplicates.")] = 0.8,
) -> None:
    """Find what is wrong with training data, anybody's: wrong answers, leaks, duplicates ... (docs/data.md)."""
    from fireact_ray.cli.lint import check_codes, demand_none, lint_path, print_report

    codes = [code.strip() for code in fail_on.split(",") if code.strip()]
    check_codes(codes, with_questions=bool(against or recipe))
    report = lint_path(
        path, against=against, recipe=recipe, tokenizer=tokenizer, max_tokens=max_tokens, near_duplicate=near
    )
    print_report(report, Console(), estimated=tokenizer is None)
    if json_file:
        json_file.write_text(json.dumps(report.to_dict()) + "\n")
        done(str(json_file))
    demand_none(report, codes)


def import_(
    recipe: RecipeArgument,
    path: Annotated[
        str, typer.Argument(help="A file, folder or URL: Alpaca, OpenAI chat (with tools, too), ShareGPT, our Parquet.")
    ],
    overrides: SetOption = None,
) -> None:
    """Bring foreign trajectories into the recipe's run folder."""
    from fireact_ray.stages.import_file import import_file

    done(import_file(load(recipe, overrides), path).uri)


def export(
    path: Annotated[str, typer.Argument(help="A run folder in which `fireact convert` has run.")],
    format_name: Annotated[str, typer.Option("--format", help="alpaca, chat, tools, sharegpt or parquet.")],
    out: Annotated[str, typer.Option(help="The folder for the file and its card.")],
) -> None:
    """Write the rows that convert selected for other trainers, with a dataset card (docs/data.md)."""
    from fireact_ray.stages.export_file import export as export_rows

    exported = export_rows(path, format_name, out)
    print(f"{exported.n_rows} rows, those of {exported.n_trajectories} trajectories that convert selected")
    done(exported.file)
