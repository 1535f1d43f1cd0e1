"""Do the nodes of a cluster see the run folder that the driver sees? Asked before anything is paid for."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from fireact_ray.core.errors import InputError
from fireact_ray.core.storage.folder import Folder

_ANSWER_S = 60.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sight:
    """What a node found where the driver has written `content`; None: nothing."""

    node: str
    found: str | None


def demand_shared(folder: Folder) -> None:
    """Raises InputError naming a node that does not see `folder` as the driver does. Nodes that come later are not
    asked."""
    here = ray.get_runtime_context().get_node_id()
    others = {node["NodeID"]: node["NodeName"] for node in ray.nodes() if node["Alive"] and node["NodeID"] != here}
    if not others:
        return
    content = uuid.uuid4().hex
    name = f"probe-{content}.txt"
    folder.write(name, content)
    try:
        check(folder, content, [_ask(folder, name, *node) for node in others.items()])
    finally:
        folder.delete(name)


def check(folder: Folder, content: str, sights: Iterable[Sight | None]) -> None:
    """`sights`: None, where a node did not answer."""
    if blind := sorted(sight.node for sight in sights if sight is not None and sight.found != content):
        raise InputError(
            f"output_dir: what is written to {folder.uri} on this machine cannot be read there on {', '.join(blind)}. "
            "Put output_dir on storage that every node mounts at the same place, or on s3://."
        )


def _ask(folder: Folder, name: str, node_id: str, node: str) -> Sight | None:
    """None where the node died, or is too busy to answer: then others do its work, or wait for it."""
    there = NodeAffinitySchedulingStrategy(node_id, soft=False)
    task = ray.remote(_look).options(num_cpus=0, scheduling_strategy=there)
    try:
        return Sight(node, ray.get(task.remote(folder, name), timeout=_ANSWER_S))
    except (GetTimeoutError, RayError) as error:
        logger.warning("node %s did not say whether it sees %s: %s", node, folder.uri, type(error).__name__)
        return None


def _look(folder: Folder, name: str) -> str | None:
    try:
        return folder.read(name).decode()
    except OSError:
        return None
