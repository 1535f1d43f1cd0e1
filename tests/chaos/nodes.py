"""A Ray cluster of several nodes on this machine, that loses one when it is told to: python nodes.py N_NODES

Prints its address. For each line on stdin it kills the node where most rollout workers are, says how many they were
(0: nobody, so nothing was killed) and adds a new node. The head runs no workers. It ends with its stdin.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from ray.cluster_utils import Cluster

# A node that is gone is found out in 1.5 s instead of half a minute.
FAST = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 3}


def main() -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "_system_config": FAST})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(int(sys.argv[1]))]
    print(cluster.address, flush=True)
    for _ in sys.stdin:
        victim = max(nodes, key=n_workers)
        n_killed = n_workers(victim)
        if n_killed:
            nodes.remove(victim)
            cluster.remove_node(victim, allow_graceful=False)
            nodes.append(cluster.add_node(num_cpus=1))
        print(n_killed, flush=True)
    cluster.shutdown()


def n_workers(node: Any) -> int:
    """Processes whose parent is the node's raylet and whose title is a rollout worker's."""
    raylet = node.all_processes["raylet"][0].process.pid
    return sum(_parent(process) == raylet and _is_worker(process) for process in Path("/proc").glob("[0-9]*"))


def _parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _is_worker(process: Path) -> bool:
    try:
        return re.search(r"ray::.*RolloutWorker", (process / "cmdline").read_text(errors="replace")) is not None
    except OSError:
        return False


if __name__ == "__main__":
    main()
