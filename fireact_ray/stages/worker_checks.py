"""Before the first step of several workers: are they where they should be, do they hear each other, do they see the
same? Each finding is one sentence; a training that would hang or diverge later ends here."""

from __future__ import annotations

import hashlib
import os
import platform
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

import fireact_ray.training
from fireact_ray.core.errors import FireActError, WriteFailed
from fireact_ray.core.storage.artifacts import read_dataset_manifest
from fireact_ray.core.storage.folder import Folder
from fireact_ray.stages.worker_facts import Facts, blindness, difference, unheard
from fireact_ray.training.base import base_fingerprint, find_base
from fireact_ray.training.gathering import gathered

_CONNECT_S = 120.0
_SEEN_S = 30.0  # after which a file that one worker wrote is there for all, also on a slow mount
_LOOK_S = 0.2


def check_workers(dataset: Folder, base_model: str, shared: Folder, device: torch.device, node: str) -> int:
    """Called by every worker alike, after the process group is there. Returns how many they are; of one alone
    nothing is looked at.

    Raises, in all of them, InputError where they do not see the same files, TrainingError where they do not hear each
    other or run other versions.
    """
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return 1
    _hear_each_other(device)
    probe = f".probe-{uuid.uuid4().hex}"
    try:
        written = _write(shared, probe)
        found = gathered(_facts(dataset, base_model, device, node, written))
        probes = gathered(probe)
        unseen = gathered(() if any(facts.written for facts in found) else _unseen(shared, probes))
    finally:
        with suppress(OSError):
            shared.delete(probe)
    if (problem := difference(found)) is not None:
        raise problem
    if (problem := blindness(found, unseen, shared.shown)) is not None:
        raise problem
    return len(found)


def _facts(dataset: Folder, base_model: str, device: torch.device, node: str, written: str | None) -> Facts:
    return Facts(
        rank=dist.get_rank(),
        node=node,
        device=str(device),
        versions={"python": platform.python_version(), "torch": torch.__version__, "training code": _code()},
        dataset=_or_why(lambda: str(read_dataset_manifest(dataset, "fingerprint")["fingerprint"])),
        base=_or_why(lambda: base_fingerprint(find_base(base_model))),
        written=written,
    )


def _code() -> str:
    """Of the room that takes the steps: a job's own copy of the package is no version of a package."""
    digest = hashlib.sha256()
    for file in sorted(Path(fireact_ray.training.__file__).parent.rglob("*.py")):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:8]


def _or_why(read: Callable[[], str]) -> str:
    try:
        return read()
    except (FireActError, OSError) as error:
        return f"none ({error})"


def _write(shared: Folder, probe: str) -> str | None:
    try:
        if shared.is_local:
            (shared.local_path / probe).touch()  # and no folder is made that is not there
        else:
            shared.write(probe, b"")
    except OSError as error:
        return os.strerror(error.errno) if error.errno else str(error)
    except WriteFailed as error:
        return str(error)
    return None


def _unseen(shared: Folder, probes: Sequence[str]) -> tuple[int, ...]:
    until = time.monotonic() + _SEEN_S
    missing = tuple(range(len(probes)))
    while missing := tuple(rank for rank in missing if not shared.exists(probes[rank])):
        if time.monotonic() > until:
            break
        time.sleep(_LOOK_S)
    return missing


def _hear_each_other(device: torch.device) -> None:
    try:
        dist.all_reduce(torch.ones(1, device=device), async_op=True).wait(timedelta(seconds=_CONNECT_S))
    except RuntimeError as error:
        if "timed out" not in str(error).lower() and "timeout" not in str(error).lower():
            raise  # a worker died: Ray Train begins again
        raise unheard(dist.get_backend(), f"no answer within {_CONNECT_S:.0f} s") from error
