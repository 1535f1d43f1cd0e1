"""What is known of a dataset in, its card out: README.md with the YAML head that the Hugging Face Hub reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import yaml

from fireact_ray.core.types import Trajectory
from fireact_ray.data.examples import plain_steps
from fireact_ray.data.formats.exporters import Format
from fireact_ray.data.formats.records import Record, record_of
from fireact_ray.data.lint.base import Context
from fireact_ray.data.lint.lint import LintReport, lint

QUESTION_LICENCES = {
    "almanac": "MIT (invented, part of fireact_ray)",
    "bamboogle": "MIT",
    "hotpotqa": "CC BY-SA 4.0",
    "mmlu": "MIT",
    "strategyqa": "MIT",
}
_SIZES = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M", 10_000_000: "1M<n<10M"}


@dataclass(frozen=True, slots=True)
class Dataset:
    """`rows`: one per row of the dataset, in any order, with the flat columns of rows.TRAJECTORY_SCHEMA and `length` in
    tokens. `paid_usd`: the cost of all trajectories that they were chosen from, None where that of any is unknown.
    `drops`, `manifest`: as `convert` writes them. `lint`: of training rows, by `lint_training_rows`.
    """

    name: str
    rows: pa.Table
    paid_usd: float | None
    drops: Mapping[str, Any]
    manifest: Mapping[str, Any]
    lint: LintReport
    recipe: str  # YAML


def total_usd(costs: Sequence[float | None]) -> float | None:
    """None where any cost is unknown."""
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None


def lint_training_rows(rows: Iterable[Trajectory]) -> LintReport:
    """What the lint finds in rows as they are trained, which no longer say what a reply was word for word."""
    records = [_as_trained(row, number) for number, row in enumerate(rows, start=1)]
    return lint(records, Context(near_duplicate=None))


def dataset_card(dataset: Dataset, exported: Format | None = None) -> str:
    """Of the dataset folder itself, or of a file that was `exported` from it."""
    parts = {
        "": _opening(dataset, exported),
        "What and how many": _rows_by(dataset.rows),
        "Teacher and cost": _teachers(dataset),
        "Length": _lengths(dataset),
        "Which trajectories": _drops(dataset.drops),
        "Lint": _lint(dataset.lint, dataset.rows.num_rows),
        "Licences": _licences(dataset.rows),
        "Recipe": f"````yaml\n{dataset.recipe.rstrip()}\n````",
    }
    head = yaml.safe_dump(_head(dataset, exported), sort_keys=False, allow_unicode=True)
    body = "\n\n".join(f"## {title}\n\n{text}" if title else text for title, text in parts.items())
    return f"---\n{head}---\n\n{body}\n"


def _head(dataset: Dataset, exported: Format | None) -> dict[str, Any]:
    n = dataset.rows.num_rows
    size = next((name for limit, name in _SIZES.items() if n < limit), "n>10M")
    path = exported.file if exported else "part-*.parquet"
    return {
        "pretty_name": dataset.name,
        "license": "other",
        "license_name": "mixed",
        "license_link": "README.md#licences",
        "task_categories": ["question-answering", "text-generation"],
        "tags": ["agent", "tool-use", "react", "fireact"],
        "size_categories": [size],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": path}]}],
    }


def _opening(dataset: Dataset, exported: Format | None) -> str:
    manifest = dataset.manifest
    lines = [
        f"# {_plain(dataset.name)}",
        "",
        f"{dataset.rows.num_rows} trajectories of agents, made by fireact_ray. They are the rows that "
        f"`fireact convert` selected of {dataset.drops['n_in']} trajectories.",
        "",
    ]
    if exported:
        lines += [
            f"- file: `{exported.file}`",
            f"- mask: {exported.mask}",
            f"- not in this file: {exported.lost}",
        ]
    else:
        lines += [
            "- `part-*.parquet`: `input_ids` and `loss_mask` (1 = trained) by `trajectory_id`",
            f"- renderer: {manifest['renderer']}, fingerprint `{manifest['renderer_fingerprint']}`",
            f"- dataset fingerprint: `{manifest['fingerprint']}`",
        ]
    return "\n".join(lines)


def _rows_by(rows: pa.Table) -> str:
    groups = rows.group_by(["task", "method"]).aggregate(
        [([], "count_all"), ("n_steps", "mean"), ("n_searches", "mean")]
    )
    return _table(
        ("task", "method", "rows", "steps, mean", "searches, mean"),
        [
            (
                row["task"],
                row["method"],
                row["count_all"],
                f"{row['n_steps_mean']:.2f}",
                f"{row['n_searches_mean']:.2f}",
            )
            for row in groups.sort_by([("task", "ascending"), ("method", "ascending")]).to_pylist()
        ],
    )


def _teachers(dataset: Dataset) -> str:
    models = sorted(dataset.rows["model"].unique().to_pylist())
    groups = {model: dataset.rows.filter(pc.equal(dataset.rows["model"], model)) for model in models}
    table = _table(
        ("model", "rows", "prompt tokens", "completion tokens", "cost, USD"),
        [
            (
                model,
                group.num_rows,
                pc.sum(group["prompt_tokens"]).as_py(),
                pc.sum(group["completion_tokens"]).as_py(),
                _money(total_usd(group["cost_usd"].to_pylist())),
            )
            for model, group in groups.items()
        ],
    )
    return f"{table}\n\nAll {dataset.drops['n_in']} trajectories, those left out too: {_money(dataset.paid_usd)} USD."


def _lengths(dataset: Dataset) -> str:
    points = [*np.percentile(dataset.rows["length"], (0, 50, 90, 99, 100), method="nearest")]
    table = _table(("", "min", "median", "90 %", "99 %", "max"), [("tokens of a row", *map(int, points))])
    manifest = dataset.manifest
    return f"{table}\n\n{manifest['tokens']} tokens by `{manifest['renderer_fingerprint']}`, of which " + (
        f"{manifest['trained_tokens']} are trained."
    )


def _drops(drops: Mapping[str, Any]) -> str:
    counts = [(f"- {name}", n) for name, n in drops["dropped"].items() if n]
    return _table(("", "rows"), [("trajectories", drops["n_in"]), *counts, ("kept", drops["n_kept"])])


def _as_trained(row: Trajectory, number: int) -> Record:
    """The record of a training row, which no longer says what its reply was word for word."""
    steps = tuple(replace(step, completion="") for step in plain_steps(row))
    return record_of(replace(row, steps=steps), number)


def _lint(report: LintReport, n_rows: int) -> str:
    found = [(f"`{code}`", len(rows)) for code, rows in report.rows.items() if rows]
    clean = ", ".join(f"`{code}`" for code, rows in report.rows.items() if not rows)
    unchecked = ", ".join(f"`{code}`" for code in report.unchecked)
    table = f"{_table(('rule', 'rows'), found)}\n\n" if found else ""
    return (
        f"{table}{report.n_rows} of {n_rows} rows were looked at. No row is found by: {clean}. Not checked here: "
        f"{unchecked}. The rules are those of `fireact lint`."
    )


def _licences(rows: pa.Table) -> str:
    counts = {entry["values"]: entry["counts"] for entry in rows["task"].value_counts().to_pylist()}
    table = _table(
        ("questions", "rows", "licence"),
        [(task, n, QUESTION_LICENCES.get(task, "unknown")) for task, n in sorted(counts.items())],
    )
    return (
        f"{table}\n\nReplies are the teacher's: its provider's terms say what they may be used for. Observations quote "
        "what a search found, whose rights remain its authors'. Put the licence under which you publish into the head."
    )


def _money(amount: float | None) -> str:
    return "unknown" if amount is None else f"{amount:.4f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_plain(str(cell)) for cell in line)} |" for line in lines)


def _plain(text: str) -> str:
    """One line that neither Markdown nor HTML reads as more than text."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|").replace("[", "\\[")
