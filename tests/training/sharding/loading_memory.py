"""The most anonymous memory that each of two workers takes to open a model. Prints a JSON object of MiB.

argv: the model's folder.
"""

import ctypes
import json
import multiprocessing
import sys
import threading
from pathlib import Path

import torch
import torch.distributed as dist
from trainings import meeting_place

from fireact_ray.training.config import TrainConfig
from fireact_ray.training.precision import Precision
from fireact_ray.training.sharding import open_sharded
from fireact_ray.training.sharding.base import Here


def main(folder: str) -> None:
    torch.set_num_threads(1)
    fork = multiprocessing.get_context("fork")
    peaks = {}
    for sharding in ("ddp", "fsdp2"):
        results = fork.SimpleQueue()
        with meeting_place() as place:
            workers = [fork.Process(target=measure, args=(rank, place, folder, sharding, results)) for rank in range(2)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
        peaks[sharding] = [results.get(), results.get()]
    print(json.dumps(peaks))  # noqa: T201


def measure(rank: int, place: str, folder: str, sharding: str, results) -> None:
    dist.init_process_group("gloo", place, rank=rank, world_size=2)
    # What is freed goes back at once, so that what is counted is what is held.
    ctypes.CDLL("libc.so.6").mallopt(-3, 1 << 17)  # M_MMAP_THRESHOLD
    config = TrainConfig(base_model=folder, tuning="full", sharding=sharding)
    before, over, seen = anonymous_mib(), threading.Event(), [0.0]

    def watch() -> None:
        while not over.wait(0.002):
            seen.append(anonymous_mib())

    watcher = threading.Thread(target=watch)
    watcher.start()
    opened = open_sharded(config, Here(rank, 2, torch.device("cpu")), Precision(False, ""))
    over.set()
    watcher.join()
    seen.append(anonymous_mib())  # the watcher may have been held up
    results.put(max(seen) - before)
    del opened
    dist.destroy_process_group()


def anonymous_mib() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


if __name__ == "__main__":
    main(sys.argv[1])
