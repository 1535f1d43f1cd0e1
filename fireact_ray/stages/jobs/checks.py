"""What a job looks for on the nodes of its cluster before it begins: keys by their names, and the storage of its run.

No value of a key leaves its node: a node says which it lacks.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress

from fireact_ray.core.errors import InputError
from fireact_ray.core.secrets import ApiKey
from fireact_ray.core.storage.folder import Folder
from fireact_ray.recipe.keys import named_keys, place_of
from fireact_ray.recipe.schema import Recipe
from fireact_ray.stages.shared_folder import Sight, ask_node, demand_shared, other_nodes

logger = logging.getLogger(__name__)

_HOW = (
    "A job carries names of keys, never values. Export the variable before `ray start` on every node (in Kubernetes by "
    "secretKeyRef in each pod template), or name a file that every node mounts by api_key_file."
)


def check_nodes(recipe: Recipe, stages: Sequence[str]) -> str:
    """In a Ray session. Returns what was found, in words. Raises InputError where a key is missing on a node, or a
    node does not see the run's storage."""
    keys, others = named_keys(recipe, stages), other_nodes({})
    sights = [Sight("this node, where the job runs", lacking(keys) or "")]
    if keys:
        sights += [sight for node in others if (sight := ask_node(node, "its keys", lacking, keys)) is not None]
    if problem := missing(sights):
        raise InputError(problem)
    demand_shared(Folder(recipe.output_dir))
    found = ", ".join(place_of(key) for key in keys) or "none needed"
    later = "" if others else "; nodes that come later are looked at by their workers"
    return f"nodes: {1 + len(others)}; keys: {found}; {recipe.output_dir} seen by all that answered{later}"


def lacking(keys: Iterable[ApiKey]) -> str | None:
    """On the node where it is called: the places where no key can be read, as one text."""
    lacks = []
    for key in keys:
        with suppress(InputError):
            key.read()
            continue
        lacks.append(f"{place_of(key)} ({key.asked_by})")
    return ", ".join(lacks) or None


def missing(sights: Iterable[Sight]) -> str | None:
    """One sentence on all nodes that lack a key; None where none does. `found`: what a node lacks."""
    lacks: dict[str, list[str]] = {}
    for sight in sights:
        if sight.found:
            lacks.setdefault(sight.found, []).append(sight.node)
    if not lacks:
        return None
    where = "; ".join(f"on {', '.join(sorted(nodes))} there is no key in {lack}" for lack, nodes in lacks.items())
    return f"Nothing was asked yet: {where}. {_HOW}"
