"""Trainings by several workers, without waiting for torch to be imported by each of them: workers are forks.

Of a process that has done nothing but import: what autograd has once used in a test cannot be forked.

Groups {"workers", "jobs"} are done one after the other, each with a process group of its own.
"""

import multiprocessing
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.fsdp import FSDPModule

from fireact_ray.core.errors import FireActError
from fireact_ray.training.checkpoint_folders import latest_checkpoint
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.loop import train
from fireact_ray.training.precision import by_hardware
from fireact_ray.training.sharding import open_sharded
from fireact_ray.training.sharding.base import Here

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([__name__])


def done_by_forks(groups: list[dict]) -> list[list[dict] | None]:
    """What became of the jobs, as worker 0 saw it, group by group; None where a worker died."""
    done = []
    for group in groups:
        results = _FORKS.SimpleQueue()
        with meeting_place() as place:
            workers = [
                _FORKS.Process(target=work, args=(rank, group["workers"], place, group["jobs"], results))
                for rank in range(group["workers"])
            ]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
        whole = all(worker.exitcode == 0 for worker in workers)
        done.append(results.get() if whole else None)
    return done


@contextmanager
def meeting_place() -> Iterator[str]:
    """Where the workers of one group find each other. A port that is free now may be another's when they come."""
    with tempfile.TemporaryDirectory() as folder:
        yield f"file://{folder}/group"


def work(rank: int, world_size: int, place: str, jobs: list[dict], results) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", place, rank=rank, world_size=world_size)
    done = [look(job) if job.get("look") else run(job, rank) for job in jobs]
    if rank == 0:
        results.put(done)
    dist.destroy_process_group()


def run(job: dict, rank: int) -> dict:
    entries: list[dict] = []

    def on_checkpoint(path: Path | None, metrics: dict) -> None:
        if metrics["step"] == job.get("kill_at") and rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    resume_from = job.get("resume_from")
    try:
        train(
            TrainConfig.from_dict(job["config"]),
            job["dataset"],
            job["out"],
            on_log=entries.append,
            on_checkpoint=on_checkpoint,
            resume_from=resume_from and latest_checkpoint(resume_from),
        )
    except FireActError as error:
        return {"error": str(error)}
    return {
        "log": entries,
        "steps": [entry["step"] for entry in entries],
        "losses": [entry["loss"] for entry in entries],
    }


def look(job: dict) -> dict:
    """How worker 0 holds the weights of a model that was just opened: by their names, and, as "units", what is gathered
    at a time."""
    config, here = (
        TrainConfig.from_dict(job["config"]),
        Here(dist.get_rank(), dist.get_world_size(), torch.device("cpu")),
    )
    model = open_sharded(config, here, by_hardware(config.precision, here.device)).prepared.model
    weights = {
        name: [type(weight).__name__, list(weight.shape), list(getattr(weight, "to_local", lambda w=weight: w)().shape)]
        for name, weight in model.named_parameters()
    }
    return {
        "weights": weights,
        "units": [name for name, module in model.named_modules() if isinstance(module, FSDPModule)],
    }
