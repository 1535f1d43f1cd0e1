"""A worker of Ray Train that is killed when its checkpoints are newer than what Ray Train knows of."""

import json
import os
import signal
import threading
import time
from pathlib import Path

from commands import started_here

from fireact_ray.core.storage.folder import Folder
from fireact_ray.recipe.schema import Recipe
from fireact_ray.training.checkpoint_folders import damage_of

from .conftest import reported


def checkpoints(recipe: Recipe) -> Path:
    return Path(recipe.run_dir) / "checkpoints"


def step_in(checkpoint: Path) -> int:
    return json.loads((checkpoint / "checkpoint.json").read_bytes())["step"]


class KilledWorker:
    """Of a training that saves after every step: killed as soon as two whole checkpoints are there of which Ray Train
    does not know. `newest`: the one that it should go on from, and `known`: those that Ray Train knew of."""

    def __init__(self, recipe: Recipe) -> None:
        self.newest: Path | None = None
        self.known: list[str] = []
        self._recipe = recipe
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _watch(self):
        while not self._over.wait(0.02):
            found = self._found()
            # First by name: whether they are whole takes a look at all their bytes.
            if len(self._unknown(found)) > 1 and len(self._unknown([path for path in found if is_whole(path)])) > 1:
                (worker,) = [process for process in started_here() if "RayTrainWorker" in process.title]
                os.kill(worker.pid, signal.SIGKILL)
                time.sleep(0.1)
                whole = [path for path in self._found() if is_whole(path)]
                self.newest, self.known = max(whole, key=step_in), reported(self._recipe)
                return

    def _unknown(self, found: list[Path]) -> list[Path]:
        known = reported(self._recipe)
        return [path for path in found if path.name not in known]

    def _found(self) -> list[Path]:
        found = checkpoints(self._recipe).glob("checkpoint_2*")
        return [path for path in found if not path.name.startswith("checkpoint_2999")]


def is_whole(checkpoint: Path) -> bool:
    return damage_of(Folder(str(checkpoint))) is None
