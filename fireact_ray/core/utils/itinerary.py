"""What a command of several stages is going to do, said at once, and how long each took, said as it ends."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

logger = logging.getLogger(__name__)

PIPELINE = {"generate": None, "convert": None, "train": None, "evaluate": None}
DEMO = {"generate": 25.0, "convert": 5.0, "train": 140.0, "evaluate": 70.0, "serve": 30.0}  # docs/results.md
_DEMO_START_S = 20.0  # of Python and Ray


class Itinerary:
    """`stages`: their names in order, and about how many seconds each takes, where that is known. `on_stage`: told
    which one begins."""

    def __init__(
        self,
        label: str,
        stages: Mapping[str, float | None],
        clock: Callable[[], float] = time.monotonic,
        on_stage: Callable[[str], None] = lambda where: None,
    ) -> None:
        self._label, self._stages, self._clock, self._on_stage = label, dict(stages), clock, on_stage
        self._started = clock()
        self._took: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        number, about = list(self._stages).index(name) + 1, self._stages[name]
        expected = "" if about is None else f", {_about(about)}"
        where = f"{name}, stage {number} of {len(self._stages)}"
        logger.info("%s: %s%s", self._label, where, expected)
        self._on_stage(where)
        began = self._clock()
        yield
        self._took[name] = self._clock() - began
        share = 100 * self._took[name] / max(self._clock() - self._started, 1e-9)
        logger.info("%s: %s took %.0f s, %.0f %% of the time so far", self._label, name, self._took[name], share)

    def summary(self) -> str:
        """The stages that have ended, with their shares of all the time."""
        total = max(self._clock() - self._started, 1e-9)
        parts = [f"{name} {took:.0f} s ({100 * took / total:.0f} %)" for name, took in self._took.items()]
        return f"{self._label}: {', '.join(parts)}; {total:.0f} s in all"


def demo_itinerary() -> Itinerary:
    return Itinerary("demo", DEMO)


def demo_plan() -> str:
    """The first line of the demo."""
    stages = ", ".join(f"{name} {_about(seconds)}" for name, seconds in DEMO.items())
    minutes = (_DEMO_START_S + sum(DEMO.values())) / 60
    return (
        f"demo: start Ray {_about(_DEMO_START_S)}, {stages}; about {minutes:.0f} minutes on two cores with nothing "
        "else running. Ctrl-C stops, the same command goes on"
    )


def _about(seconds: float) -> str:
    return f"~{seconds:.0f} s" if seconds < 100 else f"~{seconds / 60:.1f} min"
