"""What a served agent did, kept for the next round: trajectories in, Parquet parts out, in their own time.

An answer never waits for it: `put` only remembers, a task writes, and what is too much or cannot be written is counted
and said. Keys that this process ever read are masked in every text.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from dataclasses import replace
from typing import Any

from fireact_ray.core.errors import WriteFailed
from fireact_ray.core.secrets import redact
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.types import Trajectory
from fireact_ray.rollouts.writer import Writer

MAX_WAITING = 2_000  # rows; some 10 MB
_LOOK_EVERY_S = 1.0

logger = logging.getLogger(__name__)


class Traces:
    """`home`: what `convert.sources` names. `task`: whose questions they are from now on."""

    def __init__(self, home: Folder, task: str, max_waiting: int = MAX_WAITING) -> None:
        self.dropped = self._said = 0
        self._task_name, self._max_waiting = task, max_waiting
        self._writer = Writer(home / "trajectories", f"served-{uuid.uuid4().hex[:8]}")
        self._n_waiting = 0
        self._writing: asyncio.Task[None] | None = None

    def put(self, trajectory: Trajectory) -> None:
        """On the event loop that answers."""
        if self._n_waiting >= self._max_waiting:
            self._drop(1, "more come than can be written")
            return
        self._writer.add(_kept(trajectory, self._task_name))
        self._n_waiting += 1
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_in_time())

    async def close(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.wait([self._writing])
            self._writing = None
        await self.write()

    async def _write_in_time(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            if self._writer.is_due:
                await asyncio.shield(self.write())

    async def write(self) -> None:
        """What waits, now."""
        n_rows = self._n_waiting
        self._n_waiting = 0
        try:
            await self._writer.write()
        except WriteFailed as error:
            self._drop(n_rows, str(error))

    def _drop(self, n_rows: int, reason: str) -> None:
        self.dropped += n_rows
        if self.dropped >= 2 * self._said:
            self._said = self.dropped
            logger.warning("%d served questions so far are answered and not kept: %s", self.dropped, reason)


def _kept(trajectory: Trajectory, task: str) -> Trajectory:
    known = Trajectory.from_dict(_masked(trajectory.to_dict()))
    return replace(known, question=replace(known.question, task=task))


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {name: _masked(inner) for name, inner in value.items()}
    return [_masked(inner) for inner in value] if isinstance(value, list | tuple) else value
