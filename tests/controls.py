"""Data from which nothing should be learnt, made of data from which something is: controls for claims on training."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from fireact_ray.core.types import ObservationStatus, Trajectory


def shuffled_observations(rows: Sequence[Trajectory], seed: int) -> list[Trajectory]:
    """The rows in their order, each observation that a tool gave exchanged for that of another row of the same task and
    kind at the same step. Texts, lengths and numbers of steps stay what they are; that an answer follows from what was
    seen does not. An observation that no other row has a match for stays where it is."""
    places: defaultdict[tuple[str, str, int], list[tuple[int, int]]] = defaultdict(list)
    for number, row in enumerate(rows):
        for at, step in enumerate(row.steps):
            if step.observation is not None and step.observation.status is ObservationStatus.OK:
                places[row.question.task, row.question.kind, at].append((number, at))
    steps = [list(row.steps) for row in rows]
    draw = random.Random(seed)
    for _, group in sorted(places.items()):
        draw.shuffle(group)
        given = [rows[number].steps[at].observation for number, at in group]
        for (number, at), observation in zip(group, [*given[1:], *given[:1]], strict=True):
            steps[number][at] = replace(steps[number][at], observation=observation)
    return [replace(row, steps=tuple(changed)) for row, changed in zip(rows, steps, strict=True)]
