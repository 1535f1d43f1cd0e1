"""Is a cluster fit for a run? Asked from within, as a job: every node is asked, and each of the others."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Sequence
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from fireact_ray.core.errors import DataError
from fireact_ray.core.secrets import ApiKey
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.utils.itinerary import PIPELINE
from fireact_ray.recipe.keys import named_keys, place_of
from fireact_ray.recipe.schema import Recipe
from fireact_ray.stages.jobs import findings
from fireact_ray.stages.jobs.checks import missing
from fireact_ray.stages.jobs.findings import Finding, NodeFacts
from fireact_ray.stages.jobs.node_probe import NodeProbe
from fireact_ray.stages.ray_session import ray_session
from fireact_ray.stages.shared_folder import Sight

_ANSWER_S = 60.0

logger = logging.getLogger(__name__)


def examine(recipe: Recipe, storage: str | None) -> list[Finding]:
    """Every check of the cluster that is joined, in order. `storage`: a folder that all nodes should see."""
    with ray_session(recipe.ray):
        nodes = {node["NodeName"]: node for node in ray.nodes() if node["Alive"]}
        probes = Probes({name: _probe(node["NodeID"]) for name, node in nodes.items()})
        facts = _facts(probes, nodes)
        found = [
            findings.versions(facts),
            findings.gpus(facts),
            findings.token(facts),
            findings.clock(facts),
            findings.ports(_unreached(probes)),
            findings.storage(storage, {} if storage is None else _unseen(probes, Folder(storage))),
            _keys(probes, named_keys(recipe, PIPELINE)),
        ]
        from fireact_ray.stages.jobs.collective import hear_each_other  # which loads torch

        alive = findings.alive(list(nodes), [name for name in nodes if name in probes.silent])
        return [alive, *found, hear_each_other([each.node for each in facts if each.gpus_of_ray], nodes)]


def demand_fit(found: Sequence[Finding]) -> None:
    """Raises DataError where a check failed."""
    if failed := [each.check for each in found if each.failed]:
        raise DataError(f"{len(failed)} of {len(found)} checks failed: {', '.join(failed)}.")


def _probe(node_id: str) -> Any:
    there = NodeAffinitySchedulingStrategy(node_id, soft=False)
    return ray.remote(NodeProbe).options(num_cpus=0, scheduling_strategy=there).remote()


class Probes:
    """By node. `silent`: those that once did not answer in time: they are asked nothing more, and pass nothing."""

    def __init__(self, actors: dict[str, Any]) -> None:
        self._actors = actors
        self.silent: set[str] = set()

    @property
    def nodes(self) -> list[str]:
        return [name for name in self._actors if name not in self.silent]

    def ask(self, method: str, *arguments: Any) -> dict[str, Any]:
        """What each answers."""
        asked = {name: getattr(self._actors[name], method).remote(*arguments) for name in self.nodes}
        return self._heard(asked)

    def ask_one(self, node: str, method: str, *arguments: Any) -> Any:
        """None where it does not answer."""
        return self._heard({node: getattr(self._actors[node], method).remote(*arguments)}).get(node)

    def _heard(self, asked: dict[str, Any]) -> dict[str, Any]:
        until, answers = time.monotonic() + _ANSWER_S, {}
        for name, answer in asked.items():
            try:
                answers[name] = ray.get(answer, timeout=max(0.1, until - time.monotonic()))
            except (GetTimeoutError, RayError) as error:
                logger.warning("node %s did not answer: %s", name, type(error).__name__)
                self.silent.add(name)
        return answers


def _facts(probes: Probes, nodes: dict[str, Any]) -> list[NodeFacts]:
    """Of those that answer each time."""
    versions, gpus, tokens = probes.ask("versions"), probes.ask("n_gpus"), probes.ask("has_token_mode")
    clocks = {name: _clock(probes, name) for name in probes.nodes}
    of_ray = {name: nodes[name]["Resources"].get("GPU", 0.0) for name in nodes}
    return [
        NodeFacts(name, versions[name], gpus[name], of_ray[name], tokens[name], *clock)
        for name, clock in clocks.items()
        if clock is not None
    ]


def _clock(probes: Probes, node: str) -> tuple[float, float] | None:
    """How far its clock is off, and half the time that asking took: what that may be wrong by."""
    before = time.time()
    now: float | None = probes.ask_one(node, "now")
    after = time.time()
    return None if now is None else (now - (before + after) / 2, (after - before) / 2)


def _unreached(probes: Probes) -> dict[str, list[str]]:
    found: dict[str, list[str]] = probes.ask("unreached", probes.ask("listen"))
    return found


def _unseen(probes: Probes, folder: Folder) -> dict[str, list[str]]:
    names = {node: f"probe-{uuid.uuid4().hex}.txt" for node in probes.nodes}
    wrote = {node: bool(probes.ask_one(node, "write", folder, name)) for node, name in names.items()}
    written = {node: names[node] for node, could in wrote.items() if could}
    try:
        found: dict[str, list[str]] = probes.ask("unseen", folder, written)
        return {node: [node] if not wrote[node] else others for node, others in found.items()}
    finally:
        probes.ask("delete", folder, list(names.values()))


def _keys(probes: Probes, keys: Sequence[ApiKey]) -> Finding:
    if not keys:
        return findings.keys((), None)
    lacks = probes.ask("lacking", keys)
    return findings.keys([place_of(key) for key in keys], missing(Sight(node, lack) for node, lack in lacks.items()))
