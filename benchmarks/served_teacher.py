"""The scripted teacher in a process of its own, and what it saw of its callers."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from fireact_ray.demo.teacher.calls import SeenCall, read_calls

_STARTING_S = 60.0


@dataclass(frozen=True)
class ServedTeacher:
    base_url: str
    process: psutil.Process
    calls_file: Path

    def calls(self, since_s: float) -> list[SeenCall]:
        """Those that came since `since_s` of time.monotonic() and have ended."""
        return [call for call in read_calls(self.calls_file) if call.came_at_s >= since_s]

    def cpu_s(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)


@contextmanager
def served_teacher(options: Sequence[str]) -> Iterator[ServedTeacher]:
    """`options`: of `python -m fireact_ray.demo.teacher`."""
    with tempfile.TemporaryDirectory() as folder:
        calls_file, log = Path(folder) / "calls.jsonl", Path(folder) / "log"
        command = [sys.executable, "-m", "fireact_ray.demo.teacher", "--calls-file", str(calls_file), *options]
        with log.open("w") as output, subprocess.Popen(command, stderr=output) as process:
            try:
                yield ServedTeacher(_address(process, log), psutil.Process(process.pid), calls_file)
            finally:
                process.terminate()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    give_up_at = time.monotonic() + _STARTING_S
    while time.monotonic() < give_up_at:
        if (found := re.search(r"http://\S+", log.read_text())) is not None:
            return found.group()
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError(f"The scripted teacher did not start: {log.read_text()}")
