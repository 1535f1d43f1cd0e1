"""A training run in the middle: enough to go on as if nothing had happened.

A checkpoint is a folder `step-00000120` with what is trained (weights.safetensors), the optimizer
(state.pt) and which run and step it is (checkpoint.json). There is no state of data order, learning rate or
dropout to save: they follow from the configuration, the number of the step and, for dropout, the rank.
"""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from fireact_ray.errors import TrainingError
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.files import whole_folder
from fireact_ray.types import SCHEMA_VERSION

log = logging.getLogger(__name__)

KEPT = 2  # the newest and, should it prove unreadable, the one before
# What may change between a run and its continuation: none of it changes the steps that are taken.
_FREE = ("base_model", "micro_batch_tokens", "pack_tokens", "checkpoint_every_steps", "log_every_steps")


def save_checkpoint(
    folder: Path,
    step: int,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    config: TrainConfig,
    fingerprints: dict[str, str],
) -> Path:
    """Write the state after `step` optimizer steps into `folder`; of the older ones there, one is kept."""
    final = folder / f"step-{step:08d}"
    with whole_folder(final) as temporary:
        save_file(_trained(model), temporary / "weights.safetensors")
        torch.save(optimizer.state_dict(), temporary / "state.pt")
        card = {
            "schema_version": SCHEMA_VERSION,
            "step": step,
            "config": config.to_dict(),
            "fingerprints": fingerprints,
        }
        (temporary / "checkpoint.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    for old in _checkpoints(folder)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    log.info("checkpoint after step %d in %s", step, final)
    return final


def latest_checkpoint(folder: str | Path) -> Path | None:
    """The newest whole checkpoint in `folder`; None where there is none."""
    return next(reversed(_checkpoints(Path(folder))), None)


def resume(
    checkpoint: str | Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    config: TrainConfig,
    fingerprints: dict[str, str],
) -> int:
    """Put a checkpoint's state into model and optimizer. Returns the number of steps already taken.

    Raises TrainingError when the checkpoint is incomplete or belongs to another configuration, dataset or
    base.
    """
    folder = Path(checkpoint)
    if not (folder / "checkpoint.json").is_file():
        raise TrainingError(f"{folder} is no whole checkpoint: no checkpoint.json in it. Name another, or start anew.")
    card = json.loads((folder / "checkpoint.json").read_text(encoding="utf-8"))
    before, now = {**card["config"], **card["fingerprints"]}, {**config.to_dict(), **fingerprints}
    if changed := [name for name in now if name not in _FREE and before.get(name) != now[name]]:
        details = "; ".join(f"{name} was {before.get(name)!r}, is {now[name]!r}" for name in changed)
        raise TrainingError(f"{folder} belongs to another run: {details}. Start anew, or restore these.")
    _restore(model, load_file(folder / "weights.safetensors"))
    optimizer.load_state_dict(torch.load(folder / "state.pt", map_location="cpu", weights_only=True))
    return int(card["step"])


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("step-*") if (path / "checkpoint.json").is_file())


def _trained(model: nn.Module) -> dict[str, torch.Tensor]:
    # named_parameters names a shared (tied) weight once, which is also what safetensors asks for.
    return {name: p.detach().contiguous() for name, p in model.named_parameters() if p.requires_grad}


def _restore(model: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if parameters.keys() != weights.keys():
        odd = sorted(parameters.keys() ^ weights.keys())[:5]
        raise TrainingError(f"The checkpoint's weights are not those of this model; only one side has {odd}.")
    for name, parameter in parameters.items():
        parameter.data.copy_(weights[name])
