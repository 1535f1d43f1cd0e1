"""A served agent on several nodes, one of which is lost in the middle of questions, again and again.

    python -m benchmarks.serving_nodes            # some 4 minutes on two quiet cores
    python -m benchmarks.serving_nodes --losses 1

A head that runs no replicas and three more nodes, all on this machine; two replicas of agent, engine and search, on
distinct nodes. A lost node is killed without a word, and a new one is added. A question that is not streamed is asked
again where its replicas are gone; a stream whose agent replica was on the node ends with an error event.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from typing import Any

from ray.cluster_utils import Cluster

from benchmarks.fake_engine import STEP_VARIABLE, STEPS, FakeEngineServer
from benchmarks.header import print_header, print_table
from benchmarks.serving_faults import until_running
from benchmarks.serving_load import counted, processes, quantile
from benchmarks.serving_scene import CLIENTS, Scene
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.stages.actors.replicas import AGENT, ENGINE, SEARCH
from fireact_ray.stages.serve import serving
from fireact_ray.stages.starting import EDGE_PATH, EDGE_VARIABLE

_PART = "{min_replicas: 2, max_replicas_per_node: 1}"
_SETTINGS = (
    "serve.systems=[{kind: model, name: base, path: nano, few_shot: false}]",
    *(f"serve.{part}={_PART}" for part in (AGENT, ENGINE, SEARCH)),
)
_NODES = 3
# Serve has a proxy on each node, and these nodes have one address: clients are to meet the head's only, which stays.
_ONE_MACHINE = {"RAY_AUTH_MODE": "disabled", "RAY_SERVE_WORKER_PROXY_HTTP_PORT": "18217"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--losses", type=int, default=5)
    parser.add_argument("--step-s", type=float, default=0.1, help="of a reply of the fake engine")
    args = parser.parse_args()
    print_header(f"replies of the fake engine take {args.step_s:g} s, {STEPS} a question; {_NODES} nodes and a head")
    os.environ |= {STEP_VARIABLE: str(args.step_s), EDGE_VARIABLE: EDGE_PATH, **_ONE_MACHINE}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        nodes = [cluster.add_node(num_cpus=2) for _ in range(_NODES)]
        with tempfile.TemporaryDirectory() as folder:
            settings = [f"output_dir={folder}", "serve.port=0", f"ray={{address: '{cluster.address}'}}", *_SETTINGS]
            recipe = load_recipe("demo", settings)
            with serving(recipe, FakeEngineServer) as url:
                asyncio.run(losses(cluster, nodes, Scene(recipe, url, args.step_s, 1.0, 0.0), args.losses))
    finally:
        cluster.shutdown()


async def losses(cluster: Cluster, nodes: list[Any], scene: Scene, n_times: int) -> None:
    rows = []
    for number in range(n_times):
        part = (ENGINE, AGENT)[number % 2]
        async with scene.mixed_clients.asking(CLIENTS // 2) as answers:
            await asyncio.sleep(2.0)
            victim = _node_of(part, nodes)
            nodes.remove(victim)
            had = ", ".join(name for name in (AGENT, ENGINE, SEARCH) if _runs(name, victim))
            cluster.remove_node(victim, allow_graceful=False)
            nodes.append(cluster.add_node(num_cpus=2))
            await until_running(scene.recipe)
        rows.append((had, counted(answers), f"{quantile([one.seconds for one in answers], 1.0):.1f}"))
    print_table(("the lost node had", "replies", "slowest, s"), rows)


def _node_of(part: str, nodes: list[Any]) -> Any:
    return next(node for node in nodes if _runs(part, node))


def _runs(part: str, node: Any) -> bool:
    """Replicas are children of their node's raylet."""
    raylet = node.all_processes["raylet"][0].process.pid
    return any(process.ppid() == raylet for process in processes(part))


if __name__ == "__main__":
    main()
