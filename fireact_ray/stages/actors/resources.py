"""Why actors are not there yet: their process is starting, or CPUs or GPUs are lacking."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import ray
from ray._private.worker import global_worker
from ray.autoscaler.v2.sdk import get_cluster_resource_state


def pending(n: int, what: str, each: Mapping[str, float]) -> str:
    """`n` actors that were asked for. `each`: what one takes, such as {"CPU": 0.5}."""
    is_unplaced = any(_is_like(each, wanted) for wanted in _unplaced())
    return f"{n} {what} ({lack(n, each, ray.available_resources(), ray.cluster_resources(), is_unplaced=is_unplaced)})"


def lack(
    n: int, each: Mapping[str, float], free: Mapping[str, float], total: Mapping[str, float], *, is_unplaced: bool
) -> str:
    """`is_unplaced`: Ray still looks for room for some of them. What has found its room holds it while its process
    starts, so that nothing may be free and nothing lacking."""
    for name, needed in each.items():
        if needed > total.get(name, 0.0):
            return f"{needed:g} {name} each, and the cluster has {total.get(name, 0.0):g}: add nodes"
    for name, needed in each.items():
        if is_unplaced and n * needed > free.get(name, 0.0):
            return f"{needed:g} {name} each, and {free.get(name, 0.0):g} of {total[name]:g} are free"
    return "starting"


def _unplaced() -> Iterator[Mapping[str, float]]:
    """What each actor, task and part of a placement group takes for which Ray has found no room (`ray status`)."""
    state = get_cluster_resource_state(global_worker.gcs_client)
    alone = (wanted.request for wanted in state.pending_resource_requests)
    together = (part for group in state.pending_gang_resource_requests for part in group.requests)
    for request in (*alone, *together):
        yield request.resources_bundle


def _is_like(each: Mapping[str, float], wanted: Mapping[str, float]) -> bool:
    return {name: needed for name, needed in each.items() if needed} == dict(wanted)
