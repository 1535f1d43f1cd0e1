"""Checkpoints as folders, on a disk or in a bucket: which are whole, the newest, of another training.

A checkpoint's card, checkpoint.json, is written last and holds the checksums of all workers' files, so a folder proves
by itself that it is whole. Nothing here needs torch: a driver asks, too. A store that does not answer says nothing
about a checkpoint: StoreError comes out of everything here.
"""

from __future__ import annotations

import logging
import math
import pickle
from collections.abc import Callable, Iterable, Mapping
from io import BytesIO
from itertools import count
from pathlib import Path

from safetensors import SafetensorError

from fireact_ray.core.json_text import parse
from fireact_ray.core.storage.buckets import StoreError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.training.config import FREE, TrainConfig

log = logging.getLogger(__name__)

CARD = "checkpoint.json"
KEPT = 2  # the newest and, should it prove unreadable, the one before
# torch and safetensors say in many ways that a file is not theirs.
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, RuntimeError, EOFError, pickle.PickleError, SafetensorError)
_MAY_DIFFER = {"base_model", *FREE}  # the base by its fingerprint


def latest_checkpoint(folder: str | Path) -> Path | None:
    """The newest checkpoint in a folder of this machine that can be read; None where there is none."""
    home = Folder(str(folder))
    newest = newest_whole(home / name for name in home.folders("step-"))
    return None if newest is None else newest.local_path


def newest_whole(checkpoints: Iterable[Folder], foreign: Callable[[Folder], str | None] | None = None) -> Folder | None:
    """The one of the most steps that can be read. Those before it that cannot are set aside under another name.

    `foreign`: says of one that can be read why it is of another run; such are set aside, too.
    """
    for checkpoint in sorted(checkpoints, key=step_of, reverse=True):
        prefix, reason = "broken", damage_of(checkpoint)
        if reason is None and foreign is not None:
            prefix, reason = "foreign", foreign(checkpoint)
        if reason is None:
            return checkpoint
        aside = _free(f"{prefix}-{checkpoint.name}", checkpoint.parent)
        checkpoint.parent.rename(checkpoint.name, aside)
        log.warning("checkpoint %s: %s. It is set aside as %s; the one before is used", checkpoint.shown, reason, aside)
    return None


def damage_of(checkpoint: Folder) -> str | None:
    """Why it cannot be read; None where it can. Older ones, which hold no checksums, are loaded to find out."""
    try:
        return _damage(checkpoint)
    except StoreError:
        raise
    except _UNREADABLE as error:
        return f"it cannot be read ({' '.join(str(error).split()) or type(error).__name__})"


def _damage(checkpoint: Folder) -> str | None:
    there = {file.name for file in checkpoint.files_below("")}
    if CARD not in there:
        return f"{CARD} is missing"
    card = parse(checkpoint.read(CARD))
    int(card["step"])
    if "files" not in card:
        _load_all(checkpoint)
    checksums: dict[str, str] = dict(card.get("files", {}))
    if missing := sorted(set(checksums) - there):
        return f"{missing[0]} is missing"
    for name, found in zip(checksums, checkpoint.each(checkpoint.crc32, checksums), strict=True):
        if f"{found:08x}" != checksums[name]:
            return f"{name} is not what was written"
    return None


def other_run(
    checkpoint: Folder, config: TrainConfig, fingerprints: Mapping[str, str], earlier: Mapping[str, Callable[[], str]]
) -> str | None:
    """By which settings or fingerprints a whole checkpoint is of another run than this one; None where it is of it.

    `earlier`: by which other fingerprints versions before this one knew the same; asked where ours is not found.
    """
    card = parse(checkpoint.read(CARD))
    defaults = TrainConfig(base_model="").to_dict()  # of settings that there were not yet
    before, now = {**defaults, **card["config"], **card["fingerprints"]}, {**config.to_dict(), **fingerprints}

    def is_same(name: str) -> bool:
        found = before.get(name)
        return bool(found == now[name] or (name in earlier and found == earlier[name]()))

    changed = [name for name in now if name not in _MAY_DIFFER and not is_same(name)]
    return "; ".join(f"{name} was {before.get(name)!r}, is {now[name]!r}" for name in changed) or None


def step_of(checkpoint: Folder) -> tuple[float, str]:
    """To order checkpoints by. One that cannot tell its step counts as the newest, to be found and set aside."""
    try:
        return float(parse(checkpoint.read(CARD))["step"]), checkpoint.name
    except StoreError:
        raise
    except _UNREADABLE:
        return math.inf, checkpoint.name


def _load_all(checkpoint: Folder) -> None:
    import torch  # for checkpoints of early versions only: a driver looks at its checkpoints without it
    from safetensors.torch import load

    torch.load(BytesIO(checkpoint.read("state.pt")), map_location="cpu", weights_only=True)
    load(checkpoint.read("weights.safetensors"))


def _free(name: str, folder: Folder) -> str:
    taken = folder.folders()
    return next(free for n in count(1) if (free := name if n == 1 else f"{name}-{n}") not in taken)
