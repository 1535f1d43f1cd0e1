"""Do the nodes with GPUs hear each other by the library that their training talks by?"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import ray
import torch
import torch.distributed as dist
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from fireact_ray.stages.jobs.findings import Finding
from fireact_ray.stages.worker_facts import unheard

_CONNECT_S = 60.0
_ANSWER_S = 180.0  # with torch to import and a context to make


class Member:
    """One rank."""

    def address(self) -> str:
        """For the others to meet at, where this one is the first."""
        with socket.create_server(("", 0)) as probe:
            return f"tcp://{ray.util.get_node_ip_address()}:{probe.getsockname()[1]}"

    def total(self, meeting: str, rank: int, n: int, backend: str) -> float:
        """The sum of one from each."""
        device = "cuda" if backend == "nccl" else "cpu"
        dist.init_process_group(backend, meeting, timeout=timedelta(seconds=_CONNECT_S), rank=rank, world_size=n)
        try:
            ones = torch.ones(1, device=device)
            dist.all_reduce(ones)
            return float(ones.item())
        finally:
            dist.destroy_process_group()


def hear_each_other(
    names: Sequence[str], nodes: Mapping[str, Any], backend: str = "nccl", num_gpus: float = 1
) -> Finding:
    """A collective over one worker on each of these nodes. Free GPUs are needed for it."""
    if not names:
        return Finding("collective", None, "not tried: no node has a GPU")
    members = []
    for name in names:
        there = NodeAffinitySchedulingStrategy(nodes[name]["NodeID"], soft=False)
        options = {"num_cpus": 0, "num_gpus": num_gpus, "scheduling_strategy": there}
        members.append(ray.remote(Member).options(**options).remote())
    try:
        meeting = ray.get(members[0].address.remote(), timeout=_ANSWER_S)
        asked = [member.total.remote(meeting, rank, len(names), backend) for rank, member in enumerate(members)]
        totals = ray.get(asked, timeout=_ANSWER_S)
    except (GetTimeoutError, RayError) as error:
        why = "no answer: their GPUs may be taken" if isinstance(error, GetTimeoutError) else _last_line(error)
        return Finding("collective", True, str(unheard(backend, why)))
    finally:
        for member in members:
            ray.kill(member)
    return Finding("collective", totals != [len(names)] * len(names), f"{backend} over {len(names)} nodes: {totals}")


def _last_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[-1][:300]
