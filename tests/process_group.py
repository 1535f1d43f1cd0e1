"""Several workers of one gloo process group in a test."""

import multiprocessing
import os
import traceback
from datetime import timedelta
from pathlib import Path

import torch.distributed as dist


def together(of_worker, n: int, folder: Path) -> list:
    """What `of_worker(rank)` gives in each of `n` processes that share a process group. They are forked, as importing
    takes longer than all that they do."""
    context = multiprocessing.get_context("fork")
    answers = context.Queue()

    def run(rank: int) -> None:
        try:
            dist.init_process_group(
                "gloo", init_method=f"file://{folder}/group", rank=rank, world_size=n, timeout=timedelta(seconds=600)
            )
            answers.put((rank, of_worker(rank)))
        except BaseException:  # noqa: BLE001 (raised where the test is)
            answers.put((rank, traceback.format_exc()))
        finally:
            answers.close()
            answers.join_thread()
            os._exit(0)

    workers = [context.Process(target=run, args=(rank,)) for rank in range(n)]
    for worker in workers:
        worker.start()
    found = dict(answers.get(timeout=600) for _ in workers)
    for worker in workers:
        worker.join(10)
    return [found[rank] for rank in range(n)]
