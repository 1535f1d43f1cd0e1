"""`fireact score`: recorded trajectories scored anew, as a table and as JSON."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fireact_ray.cli.options import done, load

if TYPE_CHECKING:
    from fireact_ray.evaluation.recorded.scoring import Judge


def score(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE|RUN...",
            help="Run folders, our Parquet, FireAct's trajs/*.json, Alpaca, OpenAI chat, ShareGPT, results (`pred`).",
        ),
    ],
    against: Annotated[
        list[str] | None,
        typer.Option(metavar="TASK=PATH", help="Take accepted answers from this task's questions, not from the rows."),
    ] = None,
    split: Annotated[str, typer.Option(help="Of which split --against is, where its PATH is a folder.")] = "dev",
    planned: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Rows that were asked for: those that are missing are wrong.")
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(
            metavar="RECIPE", help="Ask this recipe's teacher, too, whether each answer is right (paid calls)."
        ),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all numbers there.")] = None,
) -> None:
    """Score recorded trajectories anew, anybody's, and say where a stored score was another."""
    from fireact_ray.core.storage.folder import Folder
    from fireact_ray.evaluation.recorded.scoring import score_paths, scores_dict, scores_text

    found = score_paths(paths, against or [], split, planned, _judge(judge) if judge is not None else None)
    print(_inert(scores_text(found)), end="")
    if json_file is not None:
        Folder(str(json_file.parent)).write_json(json_file.name, scores_dict(found))
        done(str(json_file))


def _inert(text: str) -> str:
    """Kinds and names come from files: what a terminal would obey becomes a replacement character."""
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)


def _judge(recipe: str) -> Judge:
    from fireact_ray.stages.judge import judge

    return partial(judge, load(recipe, None))
