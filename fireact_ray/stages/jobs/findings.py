"""What the nodes of a cluster are found to be, and what of it keeps a run from working: each check is one line, with
the next move where it fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

CLOCK_S = 5.0  # more than this apart, and logs and signed requests to storage mislead or fail


@dataclass(frozen=True, slots=True)
class Finding:
    """`failed` None: not looked at. `move`: what to do where it failed."""

    check: str
    failed: bool | None
    said: str
    move: str = ""

    def __str__(self) -> str:
        mark = {False: "ok", True: "FAIL", None: "-"}[self.failed]
        return f"{mark:5} {self.check:11} {self.said}{f'. {self.move}' if self.failed else ''}"


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What one node says of itself. `n_gpus`: as its driver counts them, None where it has none; `gpus_of_ray`: as Ray
    does. `clock_off_s`: of its clock against the job's, `give_or_take_s`: as far as that could be measured."""

    node: str
    versions: Mapping[str, str]
    n_gpus: int | None
    gpus_of_ray: float
    has_token_mode: bool
    clock_off_s: float
    give_or_take_s: float


def alive(nodes: Sequence[str], silent: Sequence[str]) -> Finding:
    """`silent`: of `nodes`, those that Ray calls alive and that did not answer one of the checks; what other lines say
    of every node leaves them out."""
    said = f"{len(nodes)} alive" + (f", no answer from {', '.join(silent)}" if silent else "")
    move = "Look at their raylet's log (`ray logs`), or take them out of the cluster"
    return Finding("nodes", bool(silent), said, move)


def versions(found: Sequence[NodeFacts]) -> Finding:
    odd = _groups(found, lambda facts: ", ".join(f"{name} {version}" for name, version in facts.versions.items()))
    if len(odd) == 1:
        return Finding("versions", False, f"{next(iter(odd))} everywhere")
    said = "; ".join(f"{thing} on {', '.join(nodes)}" for thing, nodes in odd.items())
    return Finding("versions", True, said, "Start all nodes from one image, or install from constraints.txt on each")


def gpus(found: Sequence[NodeFacts]) -> Finding:
    wrong = [facts for facts in found if (facts.n_gpus or 0) != facts.gpus_of_ray]
    if wrong:
        said = "; ".join(f"{each.node} has {each.n_gpus or 0}, Ray counts {each.gpus_of_ray:g}" for each in wrong)
        return Finding("GPUs", True, said, "Set num-gpus of `ray start` to what is there, or mend the driver")
    total = sum(facts.gpus_of_ray for facts in found)
    n_nodes = sum(facts.gpus_of_ray > 0 for facts in found)
    return Finding("GPUs", False, f"{total:g} on {n_nodes} nodes" if total else "none")


def token(found: Sequence[NodeFacts]) -> Finding:
    without = [facts.node for facts in found if not facts.has_token_mode]
    if without:
        move = "Start every node with RAY_AUTH_MODE=token and one token (`ray get-auth-token --generate`)"
        return Finding("token", True, f"not asked for on {', '.join(without)}: whoever reaches a port runs code", move)
    return Finding("token", False, "asked for by every node")


def clock(found: Sequence[NodeFacts]) -> Finding:
    off = [facts for facts in found if abs(facts.clock_off_s) - facts.give_or_take_s > CLOCK_S]
    if off:
        said = ", ".join(f"{each.node} is {each.clock_off_s:+.1f} s off" for each in off)
        return Finding("clock", True, said, "Let NTP or chrony set it")
    return Finding("clock", False, f"within {CLOCK_S:g} s, as far as can be measured")


def storage(folder: str | None, unseen: Mapping[str, Sequence[str]]) -> Finding:
    """`unseen`: by node, the nodes whose files it does not see in `folder`; or itself, where it cannot write."""
    if folder is None:
        return Finding("storage", None, "not looked at: give --storage, or a recipe with output_dir")
    blind = {node: others for node, others in unseen.items() if others}
    if not blind:
        return Finding("storage", False, f"{folder}: each node sees what each writes")
    said = "; ".join(
        f"{node} cannot write there"
        if list(others) == [node]
        else f"{node} does not see what {', '.join(others)} wrote"
        for node, others in blind.items()
    )
    return Finding("storage", True, f"{folder}: {said}", "Mount the same storage at the same place on every node")


def ports(unreached: Mapping[str, Sequence[str]]) -> Finding:
    """`unreached`: by node, the nodes at which it could open no connection."""
    closed = {node: others for node, others in unreached.items() if others}
    if closed:
        said = "; ".join(f"{node} does not reach {', '.join(others)}" for node, others in closed.items())
        return Finding("ports", True, said, "Open all ports between the nodes, and none to the outside")
    return Finding("ports", False, "each node reaches each, at any port")


def keys(named: Sequence[str], problem: str | None) -> Finding:
    if not named:
        return Finding("keys", None, "not looked at: the recipe names none")
    if problem is not None:
        return Finding("keys", True, problem)
    return Finding("keys", False, f"{', '.join(named)}: on every node")


def _groups(found: Sequence[NodeFacts], of: Callable[[NodeFacts], str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for facts in found:
        groups.setdefault(of(facts), []).append(facts.node)
    return groups
