"""CPU seconds of this process and of all that it started, by what they are, between two moments.

Processes of Ray end with the run, so they are looked at once a second while it lasts. A second is also how exact the
ends of the window are.
"""

from __future__ import annotations

import bisect
import threading
import time
from collections import defaultdict

import psutil

_EVERY_S = 1.0
_OF_RAY = ("Ray: ", "ray::IDLE", "ray::_", "ray::DashboardAgent", "ray::RuntimeEnvAgent", "ray::ActorLocationTracker")


class CpuWatch:
    """Watches from entering to leaving; `skip` is the process id of a child that does not count."""

    def __init__(self, skip: int) -> None:
        self._skip = skip
        self._seen: dict[tuple[str, int], list[tuple[float, float]]] = defaultdict(list)  # (name, pid) -> (time, CPU)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> CpuWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def spent_s(self, since_s: float, until_s: float) -> dict[str, float]:
        """name -> CPU seconds within the window (of time.monotonic()), the largest first."""
        spent: dict[str, float] = defaultdict(float)
        for (name, _), seen in self._seen.items():
            spent[name] += _at(seen, until_s) - _at(seen, since_s)
        return dict(sorted(((name, s) for name, s in spent.items() if s > 0), key=lambda row: -row[1]))

    def _watch(self) -> None:
        me = psutil.Process()
        while not self._done.wait(_EVERY_S):
            for process in (me, *me.children(recursive=True)):
                if process.pid != self._skip:
                    self._look(process, is_me=process == me)

    def _look(self, process: psutil.Process, is_me: bool) -> None:
        try:
            times = process.cpu_times()
            key = ("driver" if is_me else _name(process), process.pid)
        except psutil.Error:  # it has just ended
            return
        watching_s = time.thread_time() if is_me else 0.0
        self._seen[key].append((time.monotonic(), times.user + times.system - watching_s))


def is_of_ray(name: str) -> bool:
    """Ray's own processes and actors, as opposed to the driver, the workers and our actors."""
    return name.startswith(_OF_RAY)


def _name(process: psutil.Process) -> str:
    title = " ".join(process.cmdline())
    if title.startswith("ray::"):
        return title.split(".", 1)[0].strip()  # ray::Class.method
    return f"Ray: {process.name()}" if "/ray/" in title else process.name()


def _at(seen: list[tuple[float, float]], moment_s: float) -> float:
    """What a process had spent at a moment: nothing before it was first seen."""
    at = bisect.bisect_right(seen, (moment_s, float("inf")))
    return seen[at - 1][1] if at else 0.0
