"""Convert: correct trajectories -> one ReAct grammar -> token ids and loss mask, in Parquet.

One function makes the rows, `tokenizing.tokenize`: up to `in_process` trajectories in this process, whose tokenizer
uses all cores; above that in blocks on Ray.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import ray

import fireact_ray
from fireact_ray.assembly import base_model_dir
from fireact_ray.curation.card import Dataset, cost_usd, dataset_card
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
from fireact_ray.rows import EXAMPLE_SCHEMA, from_row
from fireact_ray.stages.neighbours import near_finder
from fireact_ray.stages.runtime import ray_session
from fireact_ray.store import Folder, read_trajectories, select_rows
from fireact_ray.tasks import load_questions
from fireact_ray.tokenizing import length_histogram, tokenize
from fireact_ray.types import Question, Trajectory

IN_PROCESS = 50_000  # trajectories: up to here starting Ray takes longer than they do
_ROWS_PER_BLOCK = 2_000
_TOKENIZER_FILES = (".json", ".jinja", ".model", ".txt")

logger = logging.getLogger(__name__)


def convert(recipe: Recipe, source: Folder | None = None, *, in_process: int = IN_PROCESS) -> Folder:
    """Tokenize what `curate` lets pass and `draw` takes of it; returns the dataset's folder.

    A dataset that the same code made of the same content and settings is left as it is. Raises InputError where there
    are no trajectories, DataError where none is left to train on, or fewer than the recipe asks for.
    """
    run = Folder(recipe.run_dir)
    source, folder = source or run / "trajectories", run / "dataset"
    if not source.names(".parquet"):
        raise InputError(f"{source.uri}: no trajectories there. Run `fireact generate` or `fireact import` first.")
    questions = _evaluation_questions(recipe)
    inputs = _inputs(recipe, source, questions)
    run.write("recipe.yaml", to_yaml(recipe))
    if _is_made_of(folder, inputs):
        logger.info("convert: already done -> %s", folder.uri)
        return folder
    base_dir = base_model_dir(recipe.student.base_model)
    renderer = make_renderer(recipe.student.renderer, HubTokenizer.load(base_dir))
    trajectories = read_trajectories(source)
    kept, drops = curate(trajectories, recipe.convert, questions, near_finder(recipe.ray))
    if not kept:
        raise DataError(f"{source.uri}: no row can be trained on. Dropped: {_dropped(drops)}.")
    tokenized = _on_ray(recipe, source, kept, renderer) if len(kept) > in_process else _in_process(kept, renderer)
    lengths = dict(zip(tokenized["trajectory_id"].to_pylist(), tokenized["length"].to_pylist(), strict=True))
    fitting = [row for row in kept if lengths[row.trajectory_id] <= recipe.convert.max_length]
    if not fitting:
        raise DataError(
            f"All {len(kept)} rows are longer than convert.max_length = {recipe.convert.max_length} tokens."
        )
    drawn, left_out = draw(fitting, recipe.convert, recipe.seed)
    rows = _rows_of(drawn, tokenized)
    report = drops.then(DropReport(len(kept), len(fitting), {"too_long": len(kept) - len(fitting)})).then(left_out)
    too_long = [length for length in lengths.values() if length > recipe.convert.max_length]
    drawn_lengths = rows["length"].to_pylist()
    by_length = {"kept": length_histogram(drawn_lengths), "too_long": length_histogram(too_long)}
    counted, about = {**report.to_dict(), "lengths": by_length}, _manifest(rows, renderer)
    card = Dataset(recipe.name, drawn, drawn_lengths, cost_usd(trajectories), counted, about, to_yaml(recipe))
    _write(folder, rows, card, inputs)
    logger.info("convert: %d of %d rows kept -> %s", report.n_kept, report.n_in, folder.uri)
    logger.info("convert: dropped %s", _dropped(report) or "none")
    return folder


@dataclass(frozen=True)
class TokenizeRows:
    """`tokenize` over a batch of trajectory rows. Holds names only; each worker process opens its tokenizer once.

    Raises DataError where a worker finds another tokenizer than the driver.
    """

    renderer: str
    tokenizer_dir: str
    fingerprint: str  # of the renderer, as the driver opened it

    def __call__(self, batch: pa.Table) -> pa.Table:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"  # as many blocks as cores run beside each other
        return tokenize([from_row(row) for row in batch.to_pylist()], _renderer(self))


@cache
def _renderer(job: TokenizeRows) -> Renderer:
    renderer = make_renderer(job.renderer, HubTokenizer.load(job.tokenizer_dir))
    if renderer.fingerprint != job.fingerprint:
        raise DataError(
            f"{job.tokenizer_dir} on this machine makes {renderer.fingerprint}, asked for was {job.fingerprint}. "
            "Copy the student's tokenizer to every machine."
        )
    return renderer


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


def _inputs(recipe: Recipe, source: Folder, questions: Sequence[Question]) -> str:
    """A hash of all that shapes a dataset and its card: trajectories, recipe, tokenizer, questions to keep out, and our
    code."""
    base_dir = base_model_dir(recipe.student.base_model)
    is_folder = Path(base_dir).is_dir()
    tokenizer = Folder(base_dir).digest(_TOKENIZER_FILES) if is_folder else HubTokenizer.load(base_dir).fingerprint
    code = [file.read_text(encoding="utf-8") for file in sorted(Path(fireact_ray.__file__).parent.rglob("*.py"))]
    parts = source.digest((".parquet",))
    return content_hash([parts, to_yaml(recipe), tokenizer, [question.text for question in questions], code])


def _is_made_of(folder: Folder, inputs: str) -> bool:
    if not (folder.exists("manifest.json") and folder.exists("drops.json")):
        return False
    manifest = folder.read_json("manifest.json")
    return bool(manifest.get("inputs") == inputs and manifest["bytes"] == _sizes(folder))


def _in_process(trajectories: Sequence[Trajectory], renderer: Renderer) -> pa.Table:
    starts = range(0, len(trajectories), _ROWS_PER_BLOCK)
    blocks = (trajectories[start : start + _ROWS_PER_BLOCK] for start in starts)
    return _collect((tokenize(block, renderer) for block in blocks), len(trajectories))


def _on_ray(recipe: Recipe, source: Folder, trajectories: Sequence[Trajectory], renderer: Renderer) -> pa.Table:
    """The rows go to the workers as they are in Parquet, each block as soon as it is read."""
    udf = TokenizeRows(renderer.name, base_model_dir(recipe.student.base_model), renderer.fingerprint)
    with ray_session(recipe.ray):
        parts = select_rows(source, {trajectory.trajectory_id for trajectory in trajectories})
        blocks = [ray.put(block) for part in parts for block in _blocks(part)]
        logger.info("convert: Ray Data, %d rows in %d blocks", len(trajectories), len(blocks))
        batches = ray.data.from_arrow_refs(blocks).map_batches(udf, batch_format="pyarrow", batch_size=None)
        done = batches.iter_batches(batch_format="pyarrow", batch_size=None)
        return _collect((batch.cast(EXAMPLE_SCHEMA) for batch in done), len(trajectories))


def _blocks(part: pa.Table) -> Iterator[pa.Table]:
    return (part.slice(start, _ROWS_PER_BLOCK) for start in range(0, part.num_rows, _ROWS_PER_BLOCK))


def _collect(batches: Iterable[pa.Table], n_rows: int) -> pa.Table:
    done: list[pa.Table] = []
    with Steps("convert", n_rows) as steps:
        for batch in batches:
            done.append(batch)
            steps.advance(n=batch.num_rows)
    return pa.concat_tables(done)


def _rows_of(trajectories: Sequence[Trajectory], table: pa.Table) -> pa.Table:
    """In the order of their keys."""
    places = {key: place for place, key in enumerate(table["trajectory_id"].to_pylist())}
    return table.take([places[key] for key in sorted(trajectory.trajectory_id for trajectory in trajectories)])


def _dropped(drops: DropReport) -> str:
    return ", ".join(f"{name} {count}" for name, count in drops.dropped.items() if count)


def _manifest(rows: pa.Table, renderer: Renderer) -> dict[str, Any]:
    return {
        "rows": rows.num_rows,
        "tokens": pc.sum(rows["length"]).as_py(),
        "trained_tokens": pc.sum(pc.list_flatten(rows["loss_mask"])).as_py(),
        "renderer": renderer.name,
        "renderer_fingerprint": renderer.fingerprint,
        "fingerprint": content_hash([rows["trajectory_id"].to_pylist(), renderer.fingerprint]),
    }


def _write(folder: Folder, rows: pa.Table, dataset: Dataset, inputs: str) -> None:
    for name in ("manifest.json", *folder.names(".parquet")):  # without a manifest the folder counts as unfinished
        folder.delete(name)
    folder.write_table("part-000.parquet", rows)
    folder.write_json("drops.json", dataset.drops)
    folder.write("README.md", dataset_card(dataset))
    folder.write_json("manifest.json", {**dataset.manifest, "inputs": inputs, "bytes": _sizes(folder)})


def _sizes(folder: Folder) -> dict[str, int]:
    """Of the files with rows."""
    return {name: folder.size(name) for name in folder.names(".parquet")}
