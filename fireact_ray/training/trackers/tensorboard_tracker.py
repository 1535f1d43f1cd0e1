"""TensorBoard: event files in the run folder, `tensorboard --logdir <run>/checkpoints/tensorboard`."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from fireact_ray.training.trackers.base import Outcome, Tracked


def open_tensorboard(tracked: Tracked) -> TensorBoard:
    from tensorboardX import SummaryWriter

    run_id, is_new = tracked.run_id("tensorboard", lambda: uuid.uuid4().hex[:8])
    folder = tracked.folder / "tensorboard" / run_id
    # A resumed training adds a file to the folder, which is read as one run; files are named by the second.
    writer = SummaryWriter(str(folder), filename_suffix=f".{uuid.uuid4().hex[:6]}")
    if is_new:
        writer.add_text("settings", f"```json\n{json.dumps(dict(tracked.settings), indent=2)}\n```")
    return TensorBoard(writer)


class TensorBoard:
    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def log(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def end(self, outcome: Outcome) -> None:
        self._writer.close()
