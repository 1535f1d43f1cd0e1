"""Checkpoints as folders on disk: which are whole, which is the newest, which are of another training.

A checkpoint's card, checkpoint.json, is written last and holds the checksums of all workers' files, so a folder proves
by itself that it is whole. Nothing here needs torch: a driver asks, too.
"""

from __future__ import annotations

import logging
import math
import pickle
import zlib
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from pathlib import Path

from safetensors import SafetensorError

from fireact_ray.core.json_text import parse
from fireact_ray.training.config import FREE, TrainConfig

log = logging.getLogger(__name__)

CARD = "checkpoint.json"
KEPT = 2  # the newest and, should it prove unreadable, the one before
_CHUNK_BYTES = 1 << 23
# torch and safetensors say in many ways that a file is not theirs.
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, RuntimeError, EOFError, pickle.PickleError, SafetensorError)
_MAY_DIFFER = {"base_model", *FREE}  # the base by its fingerprint


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
            _load_all(checkpoint)
        for name, crc32 in card.get("files", {}).items():
            if crc32_of(checkpoint / name) != crc32:
                return f"{name} is not what was written"
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except _UNREADABLE as error:
        return f"it cannot be read ({' '.join(str(error).split()) or type(error).__name__})"
    return None


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


def crc32_of(file: Path) -> str:
    """Eight hexadecimal digits."""
    crc = 0
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            crc = zlib.crc32(chunk, crc)
    return f"{crc:08x}"


def _load_all(checkpoint: Path) -> None:
    import torch  # for checkpoints of early versions only: a driver looks at its checkpoints without it
    from safetensors.torch import load_file

    torch.load(checkpoint / "state.pt", map_location="cpu", weights_only=True)
    load_file(checkpoint / "weights.safetensors")


def _free(path: Path) -> Path:
    return next(p for n in count(1) if not (p := path if n == 1 else path.with_name(f"{path.name}-{n}")).exists())
