"""A training run in the middle: enough to go on as if nothing had happened.

A checkpoint is a folder `step-00000120` with what is trained and the optimizer's state, as the sharding writes them
(training.sharding), and which run and step it is: checkpoint.json, written last, with the checksums of all workers'
files. There is no state of data order, learning rate or dropout to save: they follow from the configuration, the number
of the step and, for dropout, the rank.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch.distributed as dist

from fireact_ray.core.errors import TrainingError
from fireact_ray.core.json_text import parse
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.types import SCHEMA_VERSION
from fireact_ray.training.checkpoint_folders import CARD, KEPT, damage_of, other_run
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.files import whole_folder_of_all
from fireact_ray.training.gathering import gathered
from fireact_ray.training.sharding.base import Here, Sharded

log = logging.getLogger(__name__)


class Resumed(NamedTuple):
    """`step`: how many are taken; `bf16`: whether they were computed so, None where the checkpoint does not tell."""

    step: int = 0
    bf16: bool | None = None


def save_checkpoint(
    folder: Path,
    step: int,
    sharded: Sharded,
    config: TrainConfig,
    fingerprints: dict[str, str],
    here: Here,
    *,
    bf16: bool,
) -> Path | None:
    """Write the state after `step` optimizer steps into `folder`; of the older ones there, one is kept.

    Every worker calls this alike; `folder` may be one for all of them, or one for each. Returns where this worker
    wrote; None where it wrote nothing.
    """
    final = folder / f"step-{step:08d}"
    leads = here.rank == 0
    with whole_folder_of_all(final, leads=leads, wait=dist.barrier if here.world_size > 1 else _alone) as temporary:
        written = Folder(str(temporary))
        mine = {name: f"{written.crc32(name):08x}" for name in sharded.save(temporary)}
        files = {name: crc32 for part in gathered(mine) for name, crc32 in part.items()}
        if leads:
            card = {
                "schema_version": SCHEMA_VERSION,
                "step": step,
                "bf16": bf16,
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


def resume(
    checkpoint: str | Path,
    sharded: Sharded,
    config: TrainConfig,
    fingerprints: dict[str, str],
    earlier: Mapping[str, Callable[[], str]],
) -> Resumed:
    """Put a checkpoint's state into model and optimizer.

    `earlier`: by which other fingerprints versions before this one knew the same; asked where ours is not found.
    Raises TrainingError when the checkpoint is damaged or belongs to another configuration, dataset or base.
    """
    folder = Folder(str(checkpoint))
    if (damage := damage_of(folder)) is not None:
        raise TrainingError(f"{checkpoint} is no whole checkpoint: {damage}. Name another, or start anew.")
    if (details := other_run(folder, config, fingerprints, earlier)) is not None:
        raise TrainingError(f"{checkpoint} belongs to another run: {details}. Start anew, or restore these.")
    sharded.load(folder.local_path)
    card = parse(folder.read(CARD))
    return Resumed(int(card["step"]), card.get("bf16"))


def _checkpoints(folder: Path, *, with_card: bool) -> list[Path]:
    """Without a card: a worker's part, where each has a folder of its own."""
    return sorted(path for path in folder.glob("step-*") if (path / CARD).is_file() == with_card)


def _alone() -> None:
    pass
