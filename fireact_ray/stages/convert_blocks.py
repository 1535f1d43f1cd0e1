"""Row groups of trajectories in, blocks of prepared rows out: in this process where they are few, else by Ray Data."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache, partial
from typing import Any, NamedTuple

import pyarrow as pa
import ray

from fireact_ray.core.errors import DataError
from fireact_ray.core.storage.folder import Folder, RowGroup
from fireact_ray.core.utils.interrupts import heeded
from fireact_ray.core.utils.progress import Steps
from fireact_ray.core.utils.waiting import said_while_waiting
from fireact_ray.data.dataset.folder import Block
from fireact_ray.data.dataset.prepare import prepare
from fireact_ray.data.selection.config import ConvertConfig
from fireact_ray.data.selection.selection import Line, lines
from fireact_ray.recipe.schema import RayConfig
from fireact_ray.rendering import make_renderer
from fireact_ray.rendering.base import Renderer
from fireact_ray.rendering.tokenizer import HubTokenizer
from fireact_ray.stages.actors.resources import pending
from fireact_ray.stages.ray_data import ray_data
from fireact_ray.stages.ray_session import ray_session

IN_PROCESS = 50_000  # trajectories: up to here starting Ray takes longer than they do
_TASKS_PER_CPU = 8  # few, as a CPU idles for some 0.3 s between two of Ray Data's; enough for all to end together
_GROUPS_PER_TASK = 20  # at most, so that what a task makes fits into memory

logger = logging.getLogger(__name__)


@contextmanager
def prepared_blocks(
    groups: Sequence[RowGroup], job: PrepareRows, renderer: Renderer, config: RayConfig, in_process: int = IN_PROCESS
) -> Iterator[list[Block]]:
    """The blocks, in the order of the rows; those on Ray are there as long as the context is. `renderer`: the job's."""
    n_rows = sum(group.n_rows for group in groups)
    if n_rows <= in_process:
        yield _here(groups, job.settings(renderer), n_rows)
        return
    with ray_session(config):
        logger.info("convert: Ray Data, %d rows in %d row groups", n_rows, len(groups))
        yield _on_ray(groups, job, n_rows)


@dataclass(frozen=True)
class PrepareRows:
    """`prepare` of row groups. Holds texts only; each process opens its tokenizer once.

    Raises DataError where a worker finds another tokenizer than the driver.
    """

    convert: str  # JSON of the recipe's section
    questions: tuple[str, ...]  # to keep out
    renderer: str
    tokenizer_dir: str
    fingerprint: str  # of the renderer, as the driver opened it

    def __call__(self, groups: pa.Table) -> pa.Table:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"  # as many blocks as cores run beside each other
        settings = _open(self)
        return pa.concat_tables(settings.prepare(_group(row)) for row in groups.to_pylist())

    def settings(self, renderer: Renderer) -> Settings:
        config = ConvertConfig.model_validate_json(self.convert)
        return Settings(config, lines(config, self.questions), renderer)


class Settings(NamedTuple):
    config: ConvertConfig
    lines: dict[str, Line]
    renderer: Renderer

    def prepare(self, group: RowGroup) -> pa.Table:
        return prepare(group.read(), self.lines, self.config, self.renderer)


@cache
def _open(job: PrepareRows) -> Settings:
    """Once per process: a large tokenizer takes a second."""
    renderer = make_renderer(job.renderer, HubTokenizer.load(job.tokenizer_dir))
    if renderer.fingerprint != job.fingerprint:
        raise DataError(
            f"{job.tokenizer_dir} on this machine makes {renderer.fingerprint}, asked for was {job.fingerprint}. "
            "Copy the student's tokenizer to every machine."
        )
    return job.settings(renderer)


def _here(groups: Sequence[RowGroup], settings: Settings, n_rows: int) -> list[Block]:
    blocks: list[Block] = []
    with Steps("convert", n_rows) as steps:
        for group in groups:
            blocks.append(partial(_same, settings.prepare(group)))
            steps.advance(n=group.n_rows)
    return blocks


def _same(table: pa.Table) -> pa.Table:
    return table


def _on_ray(groups: Sequence[RowGroup], job: PrepareRows, n_rows: int) -> list[Block]:
    """Tasks of some row groups, which they read themselves; what they make stays in Ray's object store, or spills to
    disk."""
    n_cpus = int(ray.cluster_resources().get("CPU", 0))  # none, where the head has none and no worker has come yet
    n_tasks = min(len(groups), max(1, int(_TASKS_PER_CPU * n_cpus), len(groups) // _GROUPS_PER_TASK))
    dataset = ray_data().from_items([asdict(group) for group in groups], override_num_blocks=n_tasks)
    blocks: list[Block] = []

    def waited_for() -> str | None:
        return None if blocks else pending(n_tasks, "tasks of Ray Data", {"CPU": 1.0})

    with Steps("convert", n_rows) as steps, said_while_waiting("convert", waited_for):
        made = dataset.map_batches(job, batch_format="pyarrow", batch_size=None)
        for bundle in heeded(made.iter_internal_ref_bundles()):
            blocks += [partial(ray.get, ref) for ref in bundle.block_refs]
            steps.advance(n=bundle.num_rows() or 0)
    return blocks


def _group(row: dict[str, Any]) -> RowGroup:
    return RowGroup(**{**row, "folder": Folder(**row["folder"])})
