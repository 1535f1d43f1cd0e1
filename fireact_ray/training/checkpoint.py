"""A training run in the middle: enough to go on as if nothing had happened.

A checkpoint is a folder `step-00000120` with what is trained (weights.safetensors), the optimizer
(state.pt) and which run and step it is (checkpoint.json, with checksums of the other two). There is no
state of data order, learning rate or dropout to save: they follow from the configuration, the number of
the step and, for dropout, the rank.
"""

from __future__ import annotations

import json
import logging
import math
import pickle
import shutil
import zlib
from collections.abc import Iterable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from fireact_ray.core.errors import TrainingError
from fireact_ray.core.json_text import parse
from fireact_ray.core.types import SCHEMA_VERSION
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.files import whole_folder

log = logging.getLogger(__name__)

_FILES = ("weights.safetensors", "state.pt")
_CHUNK_BYTES = 1 << 23
KEPT = 2  # the newest and, should it prove unreadable, the one before
# torch and safetensors say in many ways that a file is not theirs.
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, RuntimeError, EOFError, pickle.PickleError, SafetensorError)
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
            "files": {name: _crc32(temporary / name) for name in _FILES},
        }
        (temporary / "checkpoint.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    for old in _checkpoints(folder)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    log.info("checkpoint after step %d in %s", step, final)
    return final


def latest_checkpoint(folder: str | Path) -> Path | None:
    """The newest checkpoint in `folder` that can be read; None where there is none."""
    return newest_whole(Path(folder).glob("step-*"))


def newest_whole(checkpoints: Iterable[Path]) -> Path | None:
    """The one of the most steps that can be read. Those before it that cannot are set aside under another name."""
    for checkpoint in sorted(checkpoints, key=step_of, reverse=True):
        if (damage := damage_of(checkpoint)) is None:
            return checkpoint
        aside = _free(checkpoint.with_name(f"broken-{checkpoint.name}"))
        checkpoint.rename(aside)
        log.warning("checkpoint %s: %s. It is set aside as %s; the one before is used", checkpoint, damage, aside.name)
    return None


def damage_of(checkpoint: Path) -> str | None:
    """Why it cannot be read; None where it can. Older ones, which hold no checksums, are loaded to find out."""
    try:
        card = parse((checkpoint / "checkpoint.json").read_bytes())
        int(card["step"])
        if "files" not in card:
            _load(checkpoint)
        for name, crc32 in card.get("files", {}).items():
            if _crc32(checkpoint / name) != crc32:
                return f"{name} is not what was written"
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except _UNREADABLE as error:
        return f"it cannot be read ({' '.join(str(error).split()) or type(error).__name__})"
    return None


def resume(
    checkpoint: str | Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    config: TrainConfig,
    fingerprints: dict[str, str],
    earlier: Mapping[str, str],
) -> int:
    """Put a checkpoint's state into model and optimizer. Returns the number of steps already taken.

    `earlier`: by which other fingerprints versions before this one knew the same.
    Raises TrainingError when the checkpoint is damaged or belongs to another configuration, dataset or base.
    """
    folder = Path(checkpoint)
    if (damage := damage_of(folder)) is not None:
        raise TrainingError(f"{folder} is no whole checkpoint: {damage}. Name another, or start anew.")
    card = parse((folder / "checkpoint.json").read_bytes())
    before, now = {**card["config"], **card["fingerprints"]}, {**config.to_dict(), **fingerprints}

    def known(name: str) -> tuple[Any, ...]:
        return (now[name], earlier[name]) if name in earlier else (now[name],)

    if changed := [name for name in now if name not in _FREE and before.get(name) not in known(name)]:
        details = "; ".join(f"{name} was {before.get(name)!r}, is {now[name]!r}" for name in changed)
        raise TrainingError(f"{folder} belongs to another run: {details}. Start anew, or restore these.")
    weights, state = _load(folder)
    _restore(model, weights)
    optimizer.load_state_dict(state)
    return int(card["step"])


def _load(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    state = torch.load(folder / "state.pt", map_location="cpu", weights_only=True)
    return load_file(folder / "weights.safetensors"), state


def step_of(checkpoint: Path) -> tuple[float, str]:
    """To order checkpoints by. One that cannot tell its step counts as the newest, to be found and set aside."""
    try:
        return float(parse((checkpoint / "checkpoint.json").read_bytes())["step"]), checkpoint.name
    except _UNREADABLE:
        return math.inf, checkpoint.name


def _free(path: Path) -> Path:
    return next(p for n in count(1) if not (p := path if n == 1 else path.with_name(f"{path.name}-{n}")).exists())


def _crc32(file: Path) -> str:
    crc = 0
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            crc = zlib.crc32(chunk, crc)
    return f"{crc:08x}"


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
