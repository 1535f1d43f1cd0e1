"""How a folder of trajectories begins and ends: it is locked to its inputs, and at the end its parts are compacted."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from fireact_ray.core.errors import DataError
from fireact_ray.core.storage.artifacts import MANIFEST
from fireact_ray.core.storage.compaction import Compaction, compactions_of, drop_compacted
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.inputs import lock_inputs
from fireact_ray.core.storage.trajectories import set_aside_broken
from fireact_ray.core.utils.failpoints import reach
from fireact_ray.core.utils.interrupts import heeded
from fireact_ray.recipe.inputs import NOT_SHAPING
from fireact_ray.recipe.schema import RayConfig
from fireact_ray.rollouts.completed import read_written
from fireact_ray.rollouts.journal import await_writers
from fireact_ray.rollouts.plan import Line, PlanSize, Policy, write_plan
from fireact_ray.rollouts.retries import planned_of, read_failures, take_out
from fireact_ray.stages.ray_data import ray_data
from fireact_ray.stages.ray_session import ray_session

_COMPACTED_HERE_BYTES = 8_000_000

logger = logging.getLogger(__name__)


def begin(
    home: Folder, inputs: dict[str, Any], lines: Iterable[Line], policy: Policy, max_retries: int | None = 0
) -> PlanSize:
    """Lock `home` to these inputs, set aside what cannot be read, write the plan, make failed rows pending again.

    `max_retries`: of a failed row, over all runs; None: any number. Raises InputError when other inputs made what is
    there, or workers of a killed run do not end.
    """
    await_writers(home / "journal")
    folder = home / "trajectories"
    _drop_damaged_manifest(folder)
    if max_retries != 0:
        _drop_failed_beginning(home)
    lock_inputs(folder, inputs, is_empty=not folder.names(".parquet"), ignored=NOT_SHAPING)
    for name in set_aside_broken(folder):
        logger.warning("%s/%s cannot be read; it is set aside and its rows are pending again", folder.uri, name)
    written, _ = read_written(folder)
    retried = read_failures(home).retryable(max_retries)
    size = write_plan(home, lines, policy, written.without(retried))
    if size.pending:
        folder.delete(MANIFEST)  # without one the folder counts as unfinished
    if retried := planned_of(home, retried):
        logger.info("%s: %d failed rows are pending again", home.uri, len(retried))
        take_out(home, retried)
    return size


def _drop_failed_beginning(home: Folder) -> None:
    """Where every row failed from outside there is no result: whatever the recipe needs to be put right may change."""
    try:
        failed = planned_of(home, read_failures(home).retryable(None))
        n_rows = len(read_written(home / "trajectories")[0]) if failed else 0
    except DataError:  # a broken part, which may hold results
        return
    if failed and len(failed) == n_rows:
        take_out(home, failed)


def report_failures(label: str, home: Folder, max_retries: int | None) -> None:
    """Say of the rows that failed whether another run retries them."""
    failures = read_failures(home)
    again = planned_of(home, failures.retryable(max_retries))
    spent = planned_of(home, failures.retryable(None)) - again
    if again:
        logger.warning("%s: %d rows failed; run the same command again to retry them", label, len(again))
    if spent:
        logger.warning(
            "%s: %d rows failed in every retry that is allowed; --retry-failed retries them once more",
            label,
            len(spent),
        )


def _drop_damaged_manifest(folder: Folder) -> None:
    """All that it says follows from the parts."""
    try:
        if folder.exists(MANIFEST):
            folder.read_json(MANIFEST)
    except DataError as error:
        logger.warning("%s The command writes it anew.", error)
        folder.delete(MANIFEST)


@contextmanager
def compact_parts(folder: Folder, config: RayConfig) -> Iterator[list[str]]:
    """Inside, the new parts lie beside those they were made of; afterwards they are alone.

    A little is compacted here; more is a Ray Data job, so that the driver stays small and parts are made side by side.
    """
    old = folder.names(".parquet")
    if folder.exists(MANIFEST) and folder.read_json(MANIFEST).get("parts") == old:
        yield old
        return
    todo = compactions_of(folder)
    parts = sorted([*todo.kept, *_made(folder, todo.made, config)])
    reach("before-manifest")
    yield parts
    reach("after-manifest")
    drop_compacted(folder, old, parts)


def _made(folder: Folder, compactions: Sequence[Compaction], config: RayConfig) -> list[str]:
    wanted = {part for one in compactions for part in one.parts}
    if sum(file.n_bytes for file in folder.files(".parquet") if file.name in wanted) <= _COMPACTED_HERE_BYTES:
        return [one.run() for one in compactions]
    with ray_session(config):
        made = ray_data().from_items([{"compaction": one} for one in compactions], override_num_blocks=len(compactions))
        return [row["part"] for row in heeded(made.map(_run).iter_rows())]


def _run(row: dict[str, Compaction]) -> dict[str, str]:
    return {"part": row["compaction"].run()}
