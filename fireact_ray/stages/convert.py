"""Convert: correct trajectories -> one ReAct grammar -> token ids and loss mask, in Parquet."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import pyarrow as pa
import ray

from fireact_ray.assembly import base_model_dir
from fireact_ray.curation.examples import to_example
from fireact_ray.curation.selection import curate, draw
from fireact_ray.curation.sieve import DropReport
from fireact_ray.errors import DataError, InputError
from fireact_ray.hashing import content_hash
from fireact_ray.progress import Steps
from fireact_ray.recipe import Recipe
from fireact_ray.recipe_loader import to_yaml
from fireact_ray.rendering import make_renderer
from fireact_ray.rendering.base import Renderer
from fireact_ray.rendering.tokenizer import HubTokenizer
from fireact_ray.rows import EXAMPLE_SCHEMA, TRAJECTORY_SCHEMA, from_row, to_row
from fireact_ray.stages.neighbours import near_finder
from fireact_ray.stages.runtime import ray_session
from fireact_ray.store import Folder, read_trajectories
from fireact_ray.tasks import load_questions
from fireact_ray.types import Question, TokenizedExample, Trajectory

_ROWS_PER_BLOCK = 1000

logger = logging.getLogger(__name__)


def convert(recipe: Recipe, source: Folder | None = None) -> Folder:
    """Tokenize what `curate` lets pass and `draw` takes of it; returns the dataset's folder.

    Always made anew: it is cheap and deterministic. Raises InputError where there are no trajectories,
    DataError where none is left to train on, or fewer than the recipe asks for.
    """
    run = Folder(recipe.run_dir)
    source, folder = source or run / "trajectories", run / "dataset"
    if not source.names(".parquet"):
        raise InputError(f"{source.uri}: no trajectories there. Run `fireact generate` or `fireact import` first.")
    base_dir = base_model_dir(recipe.student.base_model)
    renderer = make_renderer(recipe.student.renderer, HubTokenizer.load(base_dir))
    kept, drops = curate(
        read_trajectories(source), recipe.convert, _evaluation_questions(recipe), near_finder(recipe.ray)
    )
    if not kept:
        raise DataError(f"{source.uri}: no row can be trained on. Dropped: {_dropped(drops)}.")
    with ray_session(recipe.ray):
        udf = TokenizeTrajectories(recipe.student.renderer, base_dir, recipe.convert.min_f1)
        table = _tokenize(kept, udf)
    fits = pa.compute.less_equal(pa.compute.list_value_length(table["input_ids"]), recipe.convert.max_length)
    fitting = set(table.filter(fits)["trajectory_id"].to_pylist())
    too_long = len(kept) - len(fitting)
    if not fitting:
        raise DataError(f"All {too_long} rows are longer than convert.max_length = {recipe.convert.max_length} tokens.")
    drawn, left_out = draw([row for row in kept if row.trajectory_id in fitting], recipe.convert, recipe.seed)
    dataset = _rows_of(drawn, table)
    report = drops.then(DropReport(len(kept), len(fitting), {"too_long": too_long})).then(left_out)
    _write(folder, dataset, renderer, report)
    run.write("recipe.yaml", to_yaml(recipe))
    logger.info("convert: %d of %d rows kept -> %s", report.n_kept, report.n_in, folder.uri)
    logger.info("convert: dropped %s", _dropped(report) or "none")
    return folder


def tokenize(trajectory: Trajectory, renderer: Renderer, min_f1: float | None = None) -> TokenizedExample:
    """One training row. Raises DataError when nothing of it would be trained, or it must not be (`to_example`)."""
    input_ids, loss_mask = renderer.render(to_example(trajectory, min_f1))
    if not any(loss_mask):
        raise DataError(f"Trajectory {trajectory.trajectory_id} has no trained token.")
    return TokenizedExample(trajectory.trajectory_id, tuple(input_ids), tuple(loss_mask))


@dataclass(frozen=True)
class TokenizeTrajectories:
    """`tokenize` over a batch of rows. Holds names only; each worker opens its tokenizer once per block."""

    renderer: str
    tokenizer_dir: str
    min_f1: float | None = None

    def __call__(self, batch: pa.Table) -> pa.Table:
        renderer = make_renderer(self.renderer, HubTokenizer.load(self.tokenizer_dir))
        examples = [tokenize(from_row(row), renderer, self.min_f1) for row in batch.to_pylist()]
        rows = [
            {"trajectory_id": e.trajectory_id, "input_ids": e.input_ids, "loss_mask": e.loss_mask} for e in examples
        ]
        return pa.Table.from_pylist(rows, schema=EXAMPLE_SCHEMA)


def _evaluation_questions(recipe: Recipe) -> list[Question]:
    if recipe.convert.decontaminate is None:
        return []
    try:
        return load_questions(recipe.task.name, recipe.task.path, recipe.evaluate.split)
    except InputError as error:
        raise InputError(
            f"{error} These are the questions of evaluate.split, which convert.decontaminate keeps out of training; "
            "null leaves that out."
        ) from None


def _dropped(drops: DropReport) -> str:
    return ", ".join(f"{name} {count}" for name, count in drops.dropped.items() if count)


def _rows_of(trajectories: list[Trajectory], table: pa.Table) -> pa.Table:
    keys = pa.array([trajectory.trajectory_id for trajectory in trajectories], pa.string())
    return table.filter(pa.compute.is_in(table["trajectory_id"], keys)).sort_by("trajectory_id")


def _tokenize(trajectories: list[Trajectory], udf: TokenizeTrajectories) -> pa.Table:
    rows = pa.Table.from_pylist([to_row(t) for t in trajectories], schema=TRAJECTORY_SCHEMA)
    blocks = [rows.slice(start, _ROWS_PER_BLOCK) for start in range(0, rows.num_rows, _ROWS_PER_BLOCK)]
    batches = ray.data.from_arrow(blocks).map_batches(udf, batch_format="pyarrow", batch_size=None)
    logger.info("convert: Ray Data, %d rows in %d blocks", rows.num_rows, len(blocks))
    done: list[pa.Table] = []
    with Steps("convert", rows.num_rows) as steps:
        for batch in batches.iter_batches(batch_format="pyarrow", batch_size=None):
            done.append(batch.cast(EXAMPLE_SCHEMA))
            steps.advance(n=batch.num_rows)
    return pa.concat_tables(done)


def _write(folder: Folder, dataset: pa.Table, renderer: Renderer, drops: DropReport) -> None:
    trained = sum(sum(mask) for mask in dataset["loss_mask"].to_pylist())
    tokens = sum(len(ids) for ids in dataset["input_ids"].to_pylist())
    for name in [
        "manifest.json",
        *folder.names(".parquet"),
    ]:  # without a manifest the folder counts as unfinished
        folder.delete(name)
    folder.write_table("part-000.parquet", dataset)
    folder.write_json("drops.json", drops.to_dict())
    folder.write_json(
        "manifest.json",
        {
            "rows": dataset.num_rows,
            "tokens": tokens,
            "trained_tokens": trained,
            "renderer": renderer.name,
            "renderer_fingerprint": renderer.fingerprint,
            "fingerprint": content_hash([dataset["trajectory_id"].to_pylist(), renderer.fingerprint]),
        },
    )
