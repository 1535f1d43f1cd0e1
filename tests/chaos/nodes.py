"""A Ray cluster of several nodes on this machine, that loses one when it is told to: python nodes.py N_NODES [CACHES]

Prints its address. For each line on stdin, `replace`, `lose` or `add`: it kills the node where most workers are and
adds a new one, only kills, only adds. It says how many workers the killed node had (0: nobody, so nothing was killed).
The head runs no workers. It ends with its stdin. With CACHES, a folder, each node has a FIREACT_CACHE of its own there.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# A node that is gone is found out in 1.5 s instead of half a minute.
FAST = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 3}
ENV = {"RAY_AUTH_MODE": "disabled", "RAY_DISABLE_IMPORT_WARNING": "1"}


@contextmanager
def cluster(n_nodes: int, caches: Path | None = None) -> Iterator[tuple[str, Callable[[str], int]]]:
    """Its address, and a function that does what the lines on stdin do, and says what they say."""
    script = [sys.executable, __file__, str(n_nodes), *([str(caches)] if caches else [])]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen(script, env={**os.environ, **ENV}, **pipes)

    def change(how: str) -> int:
        process.stdin.write(f"{how}\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    try:
        yield process.stdout.readline().strip(), change
    finally:
        process.stdin.close()
        process.wait(300)


def main() -> None:
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "_system_config": FAST})
    own = [
        {"env_vars": {"FIREACT_CACHE": f"{sys.argv[2]}/{n}"}} if sys.argv[2:] else {} for n in range(int(sys.argv[1]))
    ]
    nodes = [made.add_node(num_cpus=1, **each) for each in own]
    print(made.address, flush=True)
    for line in sys.stdin:
        how, n_killed = line.strip(), 0
        if how != "add":
            victim = max(nodes, key=n_workers)
            n_killed = n_workers(victim)
            if n_killed:
                nodes.remove(victim)
                made.remove_node(victim, allow_graceful=False)
        if how == "add" or (how == "replace" and n_killed):
            nodes.append(made.add_node(num_cpus=1))
        print(n_killed, flush=True)
    made.shutdown()


def n_workers(node: Any) -> int:
    """Processes whose parent is the node's raylet and whose title is a worker's."""
    raylet = node.all_processes["raylet"][0].process.pid
    return sum(_parent(process) == raylet and _is_worker(process) for process in Path("/proc").glob("[0-9]*"))


def _parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _is_worker(process: Path) -> bool:
    try:
        return (
            re.search(
                r"ray::.*(RolloutWorker|TrainWorker|ServeReplica)", (process / "cmdline").read_text(errors="replace")
            )
            is not None
        )
    except OSError:
        return False


if __name__ == "__main__":
    main()
