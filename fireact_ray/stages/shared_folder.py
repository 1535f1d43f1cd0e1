"""Do the nodes of a cluster see the run folder that the driver sees? Asked before anything is paid for."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

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


def demand_placed(output_dir: str, command: str) -> None:
    """Raises InputError for one that is neither a folder of files nor in a bucket."""
    folder = Folder(output_dir)
    if not folder.is_local and folder.objects is None:
        raise InputError(
            f"output_dir {folder.shown}: `{command}` needs a local or mounted folder, or one in a bucket (s3://, gs://)."
        )


def demand_shared(folder: Folder) -> None:
    """Raises InputError naming a node that does not see `folder` as the driver does. Nodes that come later are not
    asked."""
    others = other_nodes({})
    if not others:
        return
    content = uuid.uuid4().hex
    name = f"probe-{content}.txt"
    folder.write(name, content)
    try:
        check(folder, content, [ask_node(node, folder.uri, _look, folder, name) for node in others])
    finally:
        folder.delete(name)


def check(folder: Folder, content: str, sights: Iterable[Sight | None]) -> None:
    """`sights`: None, where a node did not answer."""
    if blind := sorted(sight.node for sight in sights if sight is not None and sight.found != content):
        raise InputError(
            f"output_dir: what is written to {folder.uri} on this machine cannot be read there on {', '.join(blind)}. "
            + (
                "Put output_dir on storage that every node mounts at the same place, or on s3://."
                if folder.is_local
                else "Give every node the credentials and the endpoint, by its environment or its role."
            )
        )


def other_nodes(each: Mapping[str, float]) -> list[tuple[str, str]]:
    """Id and name of the nodes other than this one that have at least `each`."""
    here = ray.get_runtime_context().get_node_id()
    return [
        (node["NodeID"], node["NodeName"])
        for node in ray.nodes()
        if node["Alive"] and node["NodeID"] != here
        if all(node["Resources"].get(name, 0.0) >= needed for name, needed in each.items())
    ]


def ask_node(node: tuple[str, str], what: str, look: Callable[..., str | None], *arguments: Any) -> Sight | None:
    """None where the node died, or is too busy to answer: then others do its work, or wait for it."""
    node_id, name = node
    there = NodeAffinitySchedulingStrategy(node_id, soft=False)
    task = ray.remote(look).options(num_cpus=0, scheduling_strategy=there)
    try:
        return Sight(name, ray.get(task.remote(*arguments), timeout=_ANSWER_S))
    except (GetTimeoutError, RayError) as error:
        logger.warning("node %s did not say whether it sees %s: %s", name, what, type(error).__name__)
        return None


def _look(folder: Folder, name: str) -> str | None:
    try:
        return folder.read(name).decode()
    except (OSError, InputError):
        return None
