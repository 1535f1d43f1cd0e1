"""A notice board: workers anywhere in the cluster pin events, the driver reads them as they come."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ray

_POLL_S = 0.5


class Board:
    """An async-free actor holding the events that were not read yet, in order."""

    def __init__(self) -> None:
        self._events: list[dict[str, Any]] = []

    def pin(self, event: dict[str, Any]) -> None:
        self._events.append(event)

    def take(self) -> list[dict[str, Any]]:
        events, self._events = self._events, []
        return events


@contextmanager
def read_board(on_event: Callable[[dict[str, Any]], None]) -> Iterator[Any]:
    """The handle of a new board; `on_event` is called in a thread of this process for each pinned event."""
    board = ray.remote(Board).options(num_cpus=0).remote()
    stop = threading.Event()

    def poll() -> None:
        while not stop.wait(_POLL_S):
            _deliver(board, on_event)

    reader = threading.Thread(target=poll, name="board-reader", daemon=True)
    reader.start()
    try:
        yield board
    finally:
        stop.set()
        reader.join()
        _deliver(board, on_event)
        ray.kill(board)


def _deliver(board: Any, on_event: Callable[[dict[str, Any]], None]) -> None:
    for event in ray.get(board.take.remote()):
        on_event(event)
