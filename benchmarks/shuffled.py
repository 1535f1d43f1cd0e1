"""A control for claims on training: trajectories whose observations say nothing of their answers.

    python -m benchmarks.shuffled --run runs/nano --out runs/shuffled
    fireact convert nano --set name=control --set "convert.sources=[runs/shuffled]"
    fireact train nano --set name=control && fireact evaluate nano --set name=control

A student of such rows should learn the format and no way to an answer.
"""

from __future__ import annotations

import argparse
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.header import print_header
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import read_trajectories, write_trajectories
from fireact_ray.core.types import ObservationStatus, Trajectory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="a run folder with trajectories")
    parser.add_argument("--out", type=Path, required=True, help="the run folder of the control")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    print_header()
    rows = read_trajectories(Folder(str(args.run)) / "trajectories")
    shuffled = shuffled_observations(rows, args.seed)
    changed = sum(before.steps != after.steps for before, after in zip(rows, shuffled, strict=True))
    write_trajectories(Folder(str(args.out)) / "trajectories", shuffled, "shuffled")
    print(f"{len(rows)} trajectories, {changed} with other observations -> {args.out}")


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


if __name__ == "__main__":
    main()
