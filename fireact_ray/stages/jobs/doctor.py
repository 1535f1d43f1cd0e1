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
        probes = {name: _probe(node["NodeID"]) for name, node in nodes.items()}
        answered = _ask(probes, "versions")
        probes = {name: probe for name, probe in probes.items() if name in answered}
        facts = _facts(probes, answered, nodes)
        found = [
            findings.alive(list(nodes), [name for name in nodes if name not in answered]),
            findings.versions(facts),
            findings.gpus(facts),
            findings.token(facts),
            findings.clock(facts),
            findings.ports(_unreached(probes)),
            findings.storage(storage, {} if storage is None else _unseen(probes, Folder(storage))),
            _keys(probes, named_keys(recipe, PIPELINE)),
        ]
        from fireact_ray.stages.jobs.collective import hear_each_other  # which loads torch

        return [*found, hear_each_other([each.node for each in facts if each.gpus_of_ray], nodes)]


def demand_fit(found: Sequence[Finding]) -> None:
    """Raises DataError where a check failed."""
    if failed := [each.check for each in found if each.failed]:
        raise DataError(f"{len(failed)} of {len(found)} checks failed: {', '.join(failed)}.")


def _probe(node_id: str) -> Any:
    there = NodeAffinitySchedulingStrategy(node_id, soft=False)
    return ray.remote(NodeProbe).options(num_cpus=0, scheduling_strategy=there).remote()


def _ask(probes: dict[str, Any], method: str, *arguments: Any) -> dict[str, Any]:
    """By node, what its probe answers; without those that do not in time."""
    asked = {name: getattr(probe, method).remote(*arguments) for name, probe in probes.items()}
    until, answers = time.monotonic() + _ANSWER_S, {}
    for name, answer in asked.items():
        try:
            answers[name] = ray.get(answer, timeout=max(0.1, until - time.monotonic()))
        except (GetTimeoutError, RayError) as error:
            logger.warning("node %s did not answer: %s", name, type(error).__name__)
    return answers


def _facts(probes: dict[str, Any], versions: dict[str, Any], nodes: dict[str, Any]) -> list[NodeFacts]:
    gpus, tokens = _ask(probes, "n_gpus"), _ask(probes, "has_token_mode")
    facts = []
    for name in versions:
        clock = _clock(probes[name])
        if clock is not None and name in gpus and name in tokens:
            of_ray = nodes[name]["Resources"].get("GPU", 0.0)
            facts.append(NodeFacts(name, versions[name], gpus[name], of_ray, tokens[name], *clock))
    return facts


def _clock(probe: Any) -> tuple[float, float] | None:
    """How far its clock is off, and half the time that asking took: what that may be wrong by."""
    before = time.time()
    try:
        now: float = ray.get(probe.now.remote(), timeout=_ANSWER_S)
    except (GetTimeoutError, RayError):
        return None
    after = time.time()
    return now - (before + after) / 2, (after - before) / 2


def _unreached(probes: dict[str, Any]) -> dict[str, list[str]]:
    addresses = _ask(probes, "listen")
    asking = {name: probes[name] for name in addresses}
    found: dict[str, list[str]] = _ask(asking, "unreached", addresses)
    return found


def _unseen(probes: dict[str, Any], folder: Folder) -> dict[str, list[str]]:
    names = {node: f"probe-{uuid.uuid4().hex}.txt" for node in probes}
    wrote = {node: _ask({node: probe}, "write", folder, names[node]).get(node, False) for node, probe in probes.items()}
    written = {node: names[node] for node, could in wrote.items() if could}
    try:
        found: dict[str, list[str]] = _ask(probes, "unseen", folder, written)
        return {node: [node] if not wrote[node] else others for node, others in found.items()}
    finally:
        _ask(probes, "delete", folder, list(names.values()))


def _keys(probes: dict[str, Any], keys: Sequence[ApiKey]) -> Finding:
    if not keys:
        return findings.keys((), None)
    lacks = _ask(probes, "lacking", keys)
    return findings.keys([place_of(key) for key in keys], missing(Sight(node, lack) for node, lack in lacks.items()))
