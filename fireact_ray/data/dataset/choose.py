"""Which prepared rows a dataset takes, and what leaves out each of the others: facts in, a mask and a report out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fireact_ray.core.errors import DataError
from fireact_ray.core.storage.folder import RowGroup
from fireact_ray.core.storage.rows import from_row
from fireact_ray.core.types import Trajectory
from fireact_ray.data.dataset.folder import Mask
from fireact_ray.data.dataset.prepare import TOO_LONG
from fireact_ray.data.selection.candidates import candidates
from fireact_ray.data.selection.config import ConvertConfig
from fireact_ray.data.selection.filters import DropReport
from fireact_ray.data.selection.selection import choose, lines
from fireact_ray.data.selection.shortage import Shortage


class Choice(NamedTuple):
    """`short`: of what the recipe would take more. `rows`: the facts of each key once, `kept`: those of the dataset's
    rows; `picked`: (N,) which of all facts these are."""

    report: DropReport
    short: tuple[Shortage, ...]
    rows: pa.Table
    kept: pa.Table
    picked: Mask


def choose_rows(facts: pa.Table, config: ConvertConfig, seed: int, source: str) -> Choice:
    """`facts`: all columns of `prepared_schema` but ids and masks; `source`: what messages call their folder.

    Raises DataError where no row can be trained on, or none is chosen, or fewer than `config` asks for.
    """
    once = last_of_each_key(facts)
    rows = facts.filter(pa.array(once))
    passed = _passed(rows, [*lines(config), TOO_LONG])
    if not passed.n_kept:
        raise DataError(f"{source}: no row can be trained on. Dropped: {passed}.")
    chosen, left_out, short = choose(candidates(rows), config, seed)
    report = passed.then(left_out)
    if not chosen:
        said = " ".join(f"{each}." for each in short)
        raise DataError(f"{source}: no row is left to choose. Dropped: {report}. {said} null takes all.")
    keys = pa.array([row.trajectory_id for row in chosen])
    picked = once & pc.is_in(facts["trajectory_id"], keys).to_numpy()
    return Choice(report, short, rows, facts.filter(pa.array(picked)), picked)


def last_of_each_key(rows: pa.Table) -> Mask:
    """A key occurs twice where a worker died between writing a part and reporting it; both rows are equal work."""
    last = {key: place for place, key in enumerate(rows["trajectory_id"].to_pylist())}
    mask = np.zeros(rows.num_rows, dtype=np.bool_)
    mask[list(last.values())] = True
    return mask


def read_picked(groups: Iterable[RowGroup], picked: Mask) -> Iterator[Trajectory]:
    """The stored trajectories that the mask picks, in their order."""
    start = 0
    for group in groups:
        mask = picked[start : start + group.n_rows]
        start += group.n_rows
        yield from map(from_row, group.read().filter(pa.array(mask)).to_pylist())


def _passed(rows: pa.Table, names: Sequence[str]) -> DropReport:
    """What the lines of these names left out."""
    counts = Counter(rows["dropped"].drop_null().to_pylist())
    return DropReport(rows.num_rows, rows["dropped"].null_count, {name: counts[name] for name in names})
