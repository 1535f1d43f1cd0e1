"""Tasks of an experiment in processes of their own, each the command that a user would give, on one Ray."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from fireact_ray.core.errors import FireActError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.recipe.experiments.graph import Task
from fireact_ray.recipe.loader import to_yaml
from fireact_ray.recipe.schema import Recipe

_CPUS_A_TASK = 4  # fewer, and tasks side by side would only wait for each other


def at_once(resources: Mapping[str, float], recipes: Sequence[Recipe]) -> int:
    """How many tasks a Ray cluster of these resources has room for; 1 on a small machine."""
    room = int(resources.get("CPU", 0)) // _CPUS_A_TASK
    needed = [recipe.train.workers.max for recipe in recipes if recipe.train.use_gpu]
    needed += [recipe.evaluate.workers for recipe in recipes if recipe.evaluate.use_gpu]
    if needed:
        room = min(room, int(resources.get("GPU", 0)) // max(needed))
    return max(1, room)


class TaskProcesses:
    """`address`: of the Ray that they join. `run` blocks until its process has ended; `stop` interrupts all, as Ctrl-C
    does. What they say is in the run folder of the task, in <stage>.log."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()

    def run(self, task: Task) -> None:
        """Raises FireActError with the last line that the command said, where it failed."""
        folder, name = Folder(task.recipe.run_dir), f"{task.kind}.log"
        with _log_of(folder, name) as log:
            code = self._ended(task, log)
            last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        if code:
            place = (folder / name).shown
            raise FireActError(f"{' '.join(last) or 'it said nothing'} (exit code {code}; all of it in {place})")

    def _ended(self, task: Task, log: Path) -> int:
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as recipe, log.open("wb") as said:
            recipe.write(to_yaml(task.recipe))
            recipe.flush()
            command = [sys.executable, "-m", "fireact_ray.cli", str(task.kind), recipe.name]
            environment = {**os.environ, "RAY_ADDRESS": self._address}
            process = subprocess.Popen(command, stdout=said, stderr=said, env=environment, start_new_session=True)
            with self._lock:
                self._running.add(process)
            code = process.wait()
            with self._lock:
                self._running.discard(process)
        return code

    def stop(self) -> None:
        with self._lock:
            for process in self._running:
                process.send_signal(signal.SIGINT)


@contextmanager
def _log_of(folder: Folder, name: str) -> Iterator[Path]:
    """A file that grows where it shall be; for a bucket it grows on this machine, and goes up at its end."""
    if folder.is_local:
        folder.local_path.mkdir(parents=True, exist_ok=True)
        yield folder.local_path / name
        return
    with tempfile.TemporaryDirectory(prefix="fireact-log-") as here:
        log = Path(here) / name
        yield log
        folder.write_file(name, log)
