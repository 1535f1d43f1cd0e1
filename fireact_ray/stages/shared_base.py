"""Do the nodes of a cluster hold the base model that the driver holds? Asked before Ray Train starts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from fireact_ray.core.errors import InputError
from fireact_ray.core.paths import NANO
from fireact_ray.stages.shared_folder import Sight, ask_node, other_nodes
from fireact_ray.training.base import base_fingerprint


def demand_base(base_model: str, each: Mapping[str, float]) -> None:
    """Raises InputError naming a node that does not hold the base model's folder as this machine does.

    `each`: what a worker takes; nodes that have less are not asked, as they get none. Nor is anybody for a name on the
    hub, which every node fetches for itself.
    """
    folder = Path(base_model).expanduser()
    others = other_nodes(each) if base_model != NANO and folder.is_dir() else []
    if others:
        here = base_fingerprint(folder)
        check_base(str(folder), here, [ask_node(node, str(folder), _fingerprint, str(folder)) for node in others])


def check_base(folder: str, fingerprint: str, sights: Iterable[Sight | None]) -> None:
    """`sights`: what nodes found at its place, by fingerprint."""
    found = [sight for sight in sights if sight is not None]
    move = "Put it at the same place on every node, or on storage that all of them mount."
    if blind := sorted(sight.node for sight in found if sight.found is None):
        raise InputError(
            f"student.base_model: {folder} is there on this machine, but not on {', '.join(blind)}. {move}"
        )
    if other := sorted(sight.node for sight in found if sight.found != fingerprint):
        raise InputError(f"student.base_model: {folder} is another model on {', '.join(other)}. {move}")


def _fingerprint(folder: str) -> str | None:
    try:
        return base_fingerprint(Path(folder))
    except OSError:
        return None
