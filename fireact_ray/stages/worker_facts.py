"""What the workers of a training find before its first step, and what of it keeps them from training together: each is
one sentence, with the nodes that differ and the next move."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from fireact_ray.core.errors import FireActError, InputError, TrainingError


@dataclass(frozen=True, slots=True)
class Facts:
    """What one worker finds. `dataset`, `base`: fingerprints, or why there is none. `written`: why its probe file could
    not be written, None where it was."""

    rank: int
    node: str
    device: str
    versions: dict[str, str]
    dataset: str
    base: str
    written: str | None


def difference(found: Sequence[Facts]) -> FireActError | None:
    """What is not the same for all workers; None where all is."""
    if (versions := _odd(found, lambda facts: _text(facts.versions))) is not None:
        return TrainingError(f"Workers run other versions: {versions}. Give all nodes the same environment.")
    if (device := _odd(found, lambda facts: facts.device.partition(":")[0])) is not None:
        return TrainingError(
            f"Some workers have a GPU and some have none: {device}. Give each node what the others have."
        )
    if (dataset := _odd(found, lambda facts: facts.dataset)) is not None:
        return InputError(
            f"Workers see different datasets: {dataset}. Put output_dir on storage that every node mounts."
        )
    if (base := _odd(found, lambda facts: facts.base)) is not None:
        return InputError(
            f"Workers see different base models: {base}. Put the same one at the same place on every node."
        )
    return None


def blindness(found: Sequence[Facts], unseen: Sequence[Sequence[int]], shared: str) -> FireActError | None:
    """`unseen`: per worker, the ranks whose files it did not find in `shared`."""
    move = "Put output_dir on storage that every node mounts at the same place, and may write to."
    for facts, ranks in zip(found, unseen, strict=True):
        if facts.written is not None:
            return InputError(f"Worker {facts.rank} on {facts.node} cannot write to {shared}: {facts.written}. {move}")
        if ranks:
            other = found[ranks[0]]
            return InputError(
                f"Worker {facts.rank} on {facts.node} does not see in {shared} what worker {other.rank} on "
                f"{other.node} wrote there. {move}"
            )
    return None


def _odd(found: Iterable[Facts], of: Callable[[Facts], str]) -> str | None:
    """Each thing that was found, with where; None where it is one."""
    places: dict[str, list[str]] = {}
    for facts in found:
        places.setdefault(of(facts), []).append(facts.node)
    if len(places) == 1:
        return None
    return "; ".join(f"{thing} on {', '.join(sorted(set(nodes)))}" for thing, nodes in places.items())


def _text(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def unheard(backend: str, why: str) -> TrainingError:
    variable = "NCCL_SOCKET_IFNAME" if "nccl" in backend else "GLOO_SOCKET_IFNAME"
    return TrainingError(
        f"The workers do not hear each other by {backend}: {why}. Open all ports between the nodes; where a node has "
        f"several network interfaces, name the one that the others reach in {variable}, as in {variable}=eth0."
    )
