"""Weights & Biases. WANDB_API_KEY, WANDB_MODE, WANDB_PROJECT, WANDB_NAME ... mean what they mean everywhere."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from typing import Any

from fireact_ray.core.errors import InputError
from fireact_ray.training.trackers.base import PROJECT, Outcome, Tracked


def demand_key() -> None:
    """Raises InputError where there is none and one is needed: the library would ask a terminal for it."""
    import wandb

    if _mode() == "online" and not wandb.login(prompt=False):
        raise InputError(
            "train.trackers: wandb has no key: export WANDB_API_KEY=..., or WANDB_MODE=offline to send the run later."
        )


def _mode() -> str:
    return os.environ.get("WANDB_MODE", "online")


def open_wandb(tracked: Tracked) -> Wandb:
    import wandb

    run_id, _ = tracked.run_id("wandb", lambda: uuid.uuid4().hex[:8])
    run = wandb.init(
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        name=os.environ.get("WANDB_NAME", tracked.name),
        id=run_id,
        mode=_mode(),
        resume=None if _mode() == "offline" else "allow",
        config=dict(tracked.settings),
        dir=os.environ.get("WANDB_DIR", str(tracked.folder)),
        settings=wandb.Settings(silent=True, console="off"),
    )
    run.define_metric("*", step_metric="step")
    return Wandb(run)


class Wandb:
    def __init__(self, run: Any) -> None:
        self._run = run

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log({**values, "step": step})

    def end(self, outcome: Outcome) -> None:
        self._run.finish(exit_code=0 if outcome == "finished" else 1)
