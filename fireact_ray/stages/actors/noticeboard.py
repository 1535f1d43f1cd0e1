"""What the driver of a training and its workers tell each other: events one way, the wish to stop the other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

_POLL_S = 0.5

Event = tuple[str, Any]


class _Notices:
    def __init__(self) -> None:
        self._events: list[Event] = []
        self._stop = False

    def post(self, event: Event) -> None:
        self._events.append(event)

    def take(self) -> list[Event]:
        taken, self._events = self._events, []
        return taken

    def ask_to_stop(self) -> None:
        self._stop = True

    def is_asked_to_stop(self) -> bool:
        return self._stop


class Noticeboard:
    """A handle of the actor, which ends with the driver. Workers outlive it: they wait for no answer."""

    def __init__(self) -> None:
        # On the driver's node: any other may be lost, and the training goes on.
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._notices: Any = ray.remote(_Notices).options(num_cpus=0, scheduling_strategy=here).remote()

    def post(self, kind: str, content: Any) -> None:
        self._notices.post.remote((kind, content))

    def post_and_wait(self, kind: str, content: Any, timeout_s: float) -> None:
        """Raises RayError or GetTimeoutError where the driver has gone."""
        ray.get(self._notices.post.remote((kind, content)), timeout=timeout_s)

    def take(self) -> list[Event]:
        taken: list[Event] = ray.get(self._notices.take.remote())
        return taken

    def ask_to_stop(self) -> None:
        ray.get(self._notices.ask_to_stop.remote())

    def is_asked_to_stop(self) -> bool:
        return bool(ray.get(self._notices.is_asked_to_stop.remote()))

    def close(self) -> None:
        ray.kill(self._notices)


@contextmanager
def read_by(on_event: Callable[[str, Any], None]) -> Iterator[Noticeboard]:
    """A board for workers; `on_event` is called for each of their events in a thread of this process."""
    board = Noticeboard()
    over = threading.Event()

    def deliver() -> None:
        for kind, content in board.take():
            on_event(kind, content)

    def poll() -> None:
        while not over.wait(_POLL_S):
            deliver()

    reader = threading.Thread(target=poll, name="train-events", daemon=True)
    reader.start()
    try:
        yield board
    finally:
        over.set()
        reader.join()
        deliver()
        board.close()
