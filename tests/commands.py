"""A command in a process of its own, and the processes that it started: who they are, and that they end.

Processes are found as descendants of the command, or of this process, whose Ray the command may have joined; never by a
name alone: other runs of the machine are not ours.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_WORKER = re.compile(r"ray::.*RolloutWorker")
_TRAINING = re.compile(r"ray::.*RayTrainWorker")
_CONTROLLER = re.compile(r"ray::.*TrainController")
_RAYLET = re.compile(r"/raylet/raylet( |$)")
_OF_RAY = re.compile(r"ray::(DashboardAgent|RuntimeEnvAgent)")  # take up to a minute to miss a raylet, and do nothing


@dataclass(frozen=True)
class Process:
    """`started` tells it from a later one with the same number."""

    pid: int
    parent: int
    started: str
    title: str


class Command:
    """Starts at once. `said`: all of stdout and stderr so far."""

    def __init__(self, command: list[str], folder: Path, env: dict[str, str]) -> None:
        self.output = Path(tempfile.mkstemp(prefix="said-", suffix=".txt", dir=folder)[1])
        with self.output.open("w") as output:
            self._process = subprocess.Popen(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **env},
            )
        self._seen: dict[int, Process] = {}

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def said(self) -> str:
        return self.output.read_text(errors="replace")

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def wait(self, timeout_s: float) -> int:
        """The exit code; negative: the signal that killed it."""
        until(lambda: bool(self._look()) or self.ended, 5, every_s=0.5)
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"no end within {timeout_s:g} s:\n{self.said}") from None

    def workers(self) -> list[int]:
        """The processes that run rollouts, by their titles."""
        self._look()
        return [process.pid for process in _descendants(os.getpid()) if _WORKER.search(process.title)]

    def training_workers(self) -> list[int]:
        """Of Ray Train, in a Ray that the command has started."""
        return [process.pid for process in self._look() if _TRAINING.search(process.title)]

    def interrupt(self) -> None:
        """Ctrl-C: a terminal sends it to the whole process group."""
        os.killpg(self.pid, signal.SIGINT)

    def send(self, number: int) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """`kill -9` of the command alone: what it started must find out by itself."""
        self._look()
        if not self.ended:
            self._process.kill()
        self._process.wait(10)

    def left_after(self, timeout_s: float) -> list[Process]:
        """What was started by the command, or for it by the Ray that it joined, and is still there."""
        until(lambda: not self._alive(), timeout_s, every_s=0.3)  # all processes of the machine are looked through
        return self._alive()

    def _look(self) -> list[Process]:
        found = _descendants(self.pid)
        self._seen |= {process.pid: process for process in found}
        return found

    def _alive(self) -> list[Process]:
        now = {process.pid: process.started for process in _processes()}
        own = [process for process in self._seen.values() if now.get(process.pid) == process.started]
        joined = [process for process in _descendants(os.getpid()) if _WORKER.search(process.title)]
        return [process for process in [*own, *joined] if not _OF_RAY.match(process.title)]


def until(happens: Callable[[], bool], timeout_s: float, every_s: float = 0.05) -> bool:
    """False: it did not happen in time."""
    deadline = time.monotonic() + timeout_s
    while not (happened := happens()) and time.monotonic() < deadline:
        time.sleep(every_s)
    return happened


def training_workers() -> list[int]:
    """Of Ray Train, in the Ray that this process started."""
    return [process.pid for process in _descendants(os.getpid()) if _TRAINING.search(process.title)]


def training_controllers() -> list[int]:
    """Of Ray Train, in the Ray that this process started."""
    return [process.pid for process in _descendants(os.getpid()) if _CONTROLLER.search(process.title)]


def raylets() -> list[int]:
    """Of the Ray that this process started."""
    return [process.pid for process in _descendants(os.getpid()) if _RAYLET.search(process.title)]


@contextmanager
def held_still(pids: Iterable[int]) -> Iterator[None]:
    """Until the end of the block these processes do nothing: no machine is so fast that they are ahead of the test."""
    held = list(pids)
    for pid in held:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in held:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def started_here() -> list[Process]:
    """What this process has started, and what that has."""
    return _descendants(os.getpid())


def _descendants(root: int) -> list[Process]:
    family, found = {root}, []
    for process in sorted(_processes(), key=lambda process: int(process.started)):  # parents start before children
        if process.parent in family:
            family.add(process.pid)
            found.append(process)
    return found


def _processes() -> list[Process]:
    """All that are alive; a zombie has ended."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            after_name = (folder / "stat").read_text().rpartition(")")[2].split()
            title = (folder / "cmdline").read_text(errors="replace").replace("\0", " ").strip()
        except OSError:  # it ended while we looked
            continue
        if after_name[0] != "Z":
            found.append(Process(int(folder.name), int(after_name[1]), after_name[19], title))
    return found
