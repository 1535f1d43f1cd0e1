"""Why actors are not there yet: their process is starting, or CPUs or GPUs are lacking."""

from __future__ import annotations

from collections.abc import Mapping

import ray


def pending(n: int, what: str, each: Mapping[str, float]) -> str:
    """`n` actors that were asked for. `each`: what one takes, such as {"CPU": 0.5}."""
    return f"{n} {what} ({lack(each, ray.available_resources(), ray.cluster_resources())})"


def lack(each: Mapping[str, float], free: Mapping[str, float], total: Mapping[str, float]) -> str:
    for name, needed in each.items():
        if needed > total.get(name, 0.0):
            return f"{needed:g} {name} each, and the cluster has {total.get(name, 0.0):g}: add nodes"
        if needed > free.get(name, 0.0):
            return f"{needed:g} {name} each, and {free.get(name, 0.0):g} of {total[name]:g} are free"
    return "starting"
