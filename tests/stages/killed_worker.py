"""A worker of Ray Train that is killed when its checkpoints are newer than what Ray Train knows of."""

import json
import os
import signal
import threading
from pathlib import Path

from commands import held_still, training_controllers, training_workers, until

from fireact_ray.core.storage.folder import Folder
from fireact_ray.recipe.schema import Recipe
from fireact_ray.training.checkpoint_folders import damage_of

from .conftest import reported


def checkpoints(recipe: Recipe) -> Path:
    return Path(recipe.run_dir) / "checkpoints"


def step_in(checkpoint: Path) -> int:
    return json.loads((checkpoint / "checkpoint.json").read_bytes())["step"]


class KilledWorker:
    """Of a training that saves after every step: killed when two whole checkpoints are there of which Ray Train does
    not know. From the first one on Ray Train's controller is held still: the worker reports that one, makes another,
    and then waits to be heard. `newest`: the one that it should go on from, and `known`: those that Ray Train knew of.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.newest: Path | None = None
        self.known: list[str] = []
        self._recipe = recipe
        self._before = {path.name for path in self._found()}
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
            if not self._unknown():
                continue
            (controller,) = training_controllers()
            with held_still([controller]):
                until(lambda: sum(map(is_whole, self._unknown())) > 1, 240)
                (worker,) = training_workers()
                os.kill(worker, signal.SIGKILL)
                until(lambda: not training_workers(), 300)
                whole = [path for path in self._found() if is_whole(path)]
                self.newest, self.known = max(whole, key=step_in), reported(self._recipe)
            return

    def _unknown(self) -> list[Path]:
        known = {*reported(self._recipe), *self._before}
        return [path for path in self._found() if path.name not in known]

    def _found(self) -> list[Path]:
        found = checkpoints(self._recipe).glob("checkpoint_2*")
        return [path for path in found if not path.name.startswith("checkpoint_2999")]


def is_whole(checkpoint: Path) -> bool:
    return damage_of(Folder(str(checkpoint))) is None
