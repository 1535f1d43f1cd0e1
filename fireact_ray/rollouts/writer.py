"""Finished trajectories in, Parquet parts out: rows are written in batches, soon after they finish.

A row that has finished and is not written yet is lost with its process; what was paid for it stands in the journal, so
that making it again costs no call. So a part may wait for company.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import write_trajectories
from fireact_ray.core.types import Trajectory
from fireact_ray.core.utils.failpoints import reach

PART_ROWS, PART_AGE_S = 2000, 30.0


class Writer:
    """One writer's parts. `label` keeps them apart from those of other writers."""

    def __init__(self, folder: Folder, label: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._label, self._clock = folder, label, clock
        self._rows: list[Trajectory] = []
        self._oldest = 0.0

    def add(self, trajectory: Trajectory) -> None:
        if not self._rows:
            self._oldest = self._clock()
        self._rows.append(trajectory)

    @property
    def is_due(self) -> bool:
        """Enough rows wait, or one has waited long enough."""
        full = len(self._rows) >= PART_ROWS
        return full or (bool(self._rows) and self._clock() - self._oldest >= PART_AGE_S)

    async def write(self) -> list[str]:
        """Write what waits as one part; returns its keys, once they are on disk. Raises WriteFailed."""
        rows, self._rows = self._rows, []
        if not rows:
            return []
        await asyncio.to_thread(write_trajectories, self._folder, rows, self._label)
        reach("part-written")
        return [row.trajectory_id for row in rows]
