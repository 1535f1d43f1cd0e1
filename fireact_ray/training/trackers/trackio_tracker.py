"""trackio: a local database, or what TRACKIO_SPACE_ID or TRACKIO_SERVER_URL names."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from contextvars import copy_context
from typing import Any

from fireact_ray.training.trackers.base import PROJECT, Outcome, Tracked


def open_trackio(tracked: Tracked) -> Trackio:
    import trackio

    name, _ = tracked.run_id(
        "trackio", lambda: f"{tracked.name}-{uuid.uuid4().hex[:6]}"
    )  # runs are told by their names
    tracker = Trackio(trackio)
    project, settings = os.environ.get("TRACKIO_PROJECT", PROJECT), dict(tracked.settings)
    tracker.call(lambda: trackio.init(project=project, name=name, config=settings, resume="allow"))
    return tracker


class Trackio:
    """In a context of its own, where trackio finds its current run from any thread, and finds none when Python ends."""

    def __init__(self, trackio: Any) -> None:
        self._trackio, self._context = trackio, copy_context()

    def call(self, function: Callable[[], Any]) -> None:
        with redirect_stdout(sys.stderr):  # a command's output is its result
            self._context.run(function)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self.call(lambda: self._trackio.log(dict(values), step=step))

    def end(self, outcome: Outcome) -> None:
        self.call(self._trackio.finish)
