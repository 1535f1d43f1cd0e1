"""A training run in the middle: enough to go on as if nothing had happened.

A checkpoint is a folder `step-00000120` with what is trained and the optimizer's state, as the sharding writes them
(training.sharding), and which run and step it is: checkpoint.json, written last, with the checksums of all workers'
files. There is no state of data order, learning rate or dropout to save: they follow from the configuration, the number
of the step and, for dropout, the rank.
"""

from __future__ import annotations

import json
import logging
import math
import pickle
import shutil
import zlib
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors import SafetensorError
from safetensors.torch import load_file

from fireact_ray.core.errors import TrainingError
from fireact_ray.core.json_text import parse
from fireact_ray.core.types import SCHEMA_VERSION
from fireact_ray.training.config import FREE, TrainConfig
from fireact_ray.training.files import whole_folder_of_all
from fireact_ray.training.gathering import gathered
from fireact_ray.training.sharding.base import Here, Sharded

log = logging.getLogger(__name__)

CARD = "checkpoint.json"
_CHUNK_BYTES = 1 << 23
KEPT = 2  # the newest and, should it prove unreadable, the one before
# torch and safetensors say in many ways that a file is not theirs.
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, RuntimeError, EOFError, pickle.PickleError, SafetensorError)
_MAY_DIFFER = {"base_model", *FREE}  # the base by its fingerprint


def save_checkpoint(
    folder: Path, step: int, sharded: Sharded, config: TrainConfig, fingerprints: dict[str, str], here: Here
) -> Path | None:
    """Write the state after `step` optimizer steps into `folder`; of the older ones there, one is kept.

    Every worker calls this alike; `folder` may be one for all of them, or one for each. Returns where this worker
    wrote; None where it wrote nothing.
    """
    final = folder / f"step-{step:08d}"
    leads = here.rank == 0
    with whole_folder_of_all(final, leads=leads, wait=dist.barrier if here.world_size > 1 else _alone) as temporary:
        mine = {name: _crc32(temporary / name) for name in sharded.save(temporary)}
        files = {name: crc32 for part in gathered(mine) for name, crc32 in part.items()}
        if leads:
            card = {
                "schema_version": SCHEMA_VERSION,
                "step": step,
                "config": config.to_dict(),
                "fingerprints": fingerprints,
                "files": files,
            }
            (temporary / CARD).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    for old in _checkpoints(folder, with_card=leads)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    if leads:
        log.info("checkpoint after step %d in %s", step, final)
    return final if mine else None


def latest_checkpoint(folder: str | Path) -> Path | None:
    """The newest checkpoint in `folder` that can be read; None where there is none."""
    return newest_whole(Path(folder).glob("step-*"))


def newest_whole(checkpoints: Iterable[Path], foreign: Callable[[Path], str | None] | None = None) -> Path | None:
    """The one of the most steps that can be read. Those before it that cannot are set aside under another name.

    `foreign`: says of one that can be read why it is of another run; such are set aside, too.
    """
    for checkpoint in sorted(checkpoints, key=step_of, reverse=True):
        prefix, reason = "broken", damage_of(checkpoint)
        if reason is None and foreign is not None:
            prefix, reason = "foreign", foreign(checkpoint)
        if reason is None:
            return checkpoint
        aside = _free(checkpoint.with_name(f"{prefix}-{checkpoint.name}"))
        checkpoint.rename(aside)
        log.warning("checkpoint %s: %s. It is set aside as %s; the one before is used", checkpoint, reason, aside.name)
    return None


def damage_of(checkpoint: Path) -> str | None:
    """Why it cannot be read; None where it can. Older ones, which hold no checksums, are loaded to find out."""
    try:
        card = parse((checkpoint / CARD).read_bytes())
        int(card["step"])
        if "files" not in card:
            torch.load(checkpoint / "state.pt", map_location="cpu", weights_only=True)
            load_file(checkpoint / "weights.safetensors")
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
    sharded: Sharded,
    config: TrainConfig,
    fingerprints: dict[str, str],
    earlier: Mapping[str, Callable[[], str]],
) -> int:
    """Put a checkpoint's state into model and optimizer. Returns the number of steps already taken.

    `earlier`: by which other fingerprints versions before this one knew the same; asked where ours is not found.
    Raises TrainingError when the checkpoint is damaged or belongs to another configuration, dataset or base.
    """
    folder = Path(checkpoint)
    if (damage := damage_of(folder)) is not None:
        raise TrainingError(f"{folder} is no whole checkpoint: {damage}. Name another, or start anew.")
    if (details := other_run(folder, config, fingerprints, earlier)) is not None:
        raise TrainingError(f"{folder} belongs to another run: {details}. Start anew, or restore these.")
    sharded.load(folder)
    return int(parse((folder / CARD).read_bytes())["step"])


def other_run(
    checkpoint: Path, config: TrainConfig, fingerprints: Mapping[str, str], earlier: Mapping[str, Callable[[], str]]
) -> str | None:
    """By which settings or fingerprints a whole checkpoint is of another run than this one; None where it is of it.

    `earlier`: by which other fingerprints versions before this one knew the same; asked where ours is not found.
    """
    card = parse((checkpoint / CARD).read_bytes())
    defaults = TrainConfig(base_model="").to_dict()  # of settings that there were not yet
    before, now = {**defaults, **card["config"], **card["fingerprints"]}, {**config.to_dict(), **fingerprints}

    def is_same(name: str) -> bool:
        found = before.get(name)
        return bool(found == now[name] or (name in earlier and found == earlier[name]()))

    changed = [name for name in now if name not in _MAY_DIFFER and not is_same(name)]
    return "; ".join(f"{name} was {before.get(name)!r}, is {now[name]!r}" for name in changed) or None


def step_of(checkpoint: Path) -> tuple[float, str]:
    """To order checkpoints by. One that cannot tell its step counts as the newest, to be found and set aside."""
    try:
        return float(parse((checkpoint / CARD).read_bytes())["step"]), checkpoint.name
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


def _checkpoints(folder: Path, *, with_card: bool) -> list[Path]:
    """Without a card: a worker's part, where each has a folder of its own."""
    return sorted(path for path in folder.glob("step-*") if (path / CARD).is_file() == with_card)


def _alone() -> None:
    pass
