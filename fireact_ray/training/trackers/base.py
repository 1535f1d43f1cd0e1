"""What a tracker is: it is told numbers by step, in one run of its own that a resumed training goes on with."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from fireact_ray.core.json_text import parse

TRACKERS = {  # name in a recipe -> its module, and what pip installs for it
    "tensorboard": ("tensorboardX", "tensorboardX"),
    "wandb": ("wandb", "wandb"),
    "mlflow": ("mlflow", "mlflow-skinny"),  # mlflow itself holds pyarrow back
    "trackio": ("trackio", "trackio"),
}
PROJECT = "fireact-ray"  # where the environment names no other
Outcome = Literal["finished", "failed", "killed"]  # killed: by an interrupt
IDS = "trackers.json"


class Tracker(Protocol):
    """An open run of one tracker. Whatever its library raises comes out of it."""

    def log(self, step: int, values: Mapping[str, float]) -> None: ...

    def end(self, outcome: Outcome) -> None:
        """Closes the run; a later session may open it again."""


@dataclass(frozen=True)
class Tracked:
    """The training that is told of. `folder`: where a tracker may keep its files, and the ids of its runs stand."""

    name: str
    settings: Mapping[str, Any]
    folder: Path

    def run_id(self, tracker: str, make: Callable[[], str]) -> tuple[str, bool]:
        """The id of this training's run with a tracker, and whether it is new. It is written down before it is used."""
        file = self.folder / IDS
        ids: dict[str, str] = parse(file.read_bytes()) if file.is_file() else {}
        if tracker in ids:
            return ids[tracker], False
        ids[tracker] = make()
        temporary = file.with_name(f".{file.name}.tmp")
        temporary.write_text(json.dumps(ids, indent=2) + "\n", encoding="utf-8")
        temporary.replace(file)
        return ids[tracker], True


Opener = Callable[[Tracked], Tracker]
