"""The books of a run: what was planned, what has landed and how it ended, and whether it all adds up.

planned = done + stopped + failed + unneeded + owed, no key twice, no file that cannot be read, one renderer from the
dataset to the model. Done rows finished with an answer; stopped ones met a limit of the recipe or of the method; failed
ones were ended by something around the agent: the teacher's server, a tool, the clock. `books` only reads, so it works
on a run that is going on; it works on columns, so that a million rows are no matter.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fireact_ray.errors import DataError, InputError
from fireact_ray.rows import is_accepted
from fireact_ray.scheduling.plan import PLAN, Landed, Policy, read_policy
from fireact_ray.store import Folder
from fireact_ray.types import StopReason

_TYPES = {  # of the columns that the books are kept by
    "trajectory_id": pa.string(),
    "method": pa.string(),
    "stop_reason": pa.string(),
    "error": pa.string(),
    "exact_match": pa.float64(),
    "prompt_tokens": pa.int64(),
    "completion_tokens": pa.int64(),
    "cost_usd": pa.float64(),
}
_FAILED = (StopReason.MODEL_ERROR, StopReason.TOOL_ERROR, StopReason.TIMEOUT)
_KIND = re.compile(r"([A-Z]\w*): ")  # the class at the head of a row's error


@dataclass(frozen=True, slots=True)
class Books:
    """Counts over the distinct rows of a run. `problems` is empty where everything adds up."""

    planned: int
    by_reason: dict[str, int]
    failed: dict[str, int]  # of these, by the class of their error
    accepted: dict[str, int]  # by method: finished, and not known to be wrong
    correct: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None  # None where the price of any row is unknown
    owed: int
    unneeded: int  # planned, but an earlier row of the question or enough others were accepted
    unplanned: int  # landed rows that the newest plan does not hold, such as imported ones
    problems: tuple[str, ...]

    @property
    def landed(self) -> int:
        return sum(self.by_reason.values())

    @property
    def done(self) -> int:
        return self.by_reason.get(StopReason.FINISHED, 0)

    @property
    def stopped(self) -> dict[str, int]:
        """Landed rows that neither finished nor failed, by reason."""
        return {reason: n for reason, n in self.by_reason.items() if reason not in (*_FAILED, StopReason.FINISHED)}

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "landed": self.landed}


def books(run: Folder) -> Books:
    """Read the books of a run. Raises InputError where there are none."""
    if not run.exists(PLAN) and not (run / "trajectories").names(".parquet"):
        raise InputError(f"{run.uri}: no run there. Give a run folder, such as runs/demo.")
    table, problems = _read_rows(run / "trajectories")
    keys = np.array(table["trajectory_id"].to_pylist(), dtype=np.bytes_)
    ids, first = np.unique(keys, return_index=True)
    if repeated := len(keys) - len(ids):
        problems.append(f"{repeated} rows landed more than once; readers count a key once")
    rows = table.take(pa.array(first))
    ok = is_accepted(rows)
    accepted = _counts(rows["method"].combine_chunks().filter(ok))
    plan = _planned(run, Landed(ids, ok.to_numpy(zero_copy_only=False)), accepted)
    if plan.owed and (run / "trajectories").exists("manifest.json"):
        problems.append(
            f"the manifest is written, but {plan.owed} planned rows are missing: run `fireact generate` again"
        )
    by_reason = _counts(rows["stop_reason"].combine_chunks())
    return Books(
        planned=plan.planned,
        by_reason=by_reason,
        failed=_failed(rows),
        accepted=accepted,
        correct=pc.sum(pc.equal(rows["exact_match"], 1.0)).as_py() or 0,
        prompt_tokens=pc.sum(rows["prompt_tokens"]).as_py() or 0,
        completion_tokens=pc.sum(rows["completion_tokens"]).as_py() or 0,
        cost_usd=None if rows["cost_usd"].null_count or not len(ids) else pc.sum(rows["cost_usd"]).as_py(),
        owed=plan.owed,
        unneeded=plan.unneeded,
        unplanned=len(ids) - plan.landed,
        problems=(*problems, *_strange(by_reason), *_chain(run)),
    )


def set_aside_broken(folder: Folder) -> list[str]:
    """Move parts that cannot be read into broken/, so that their rows are owed again. Returns their names."""
    broken = []
    for name in folder.names(".parquet"):
        if not folder.is_whole(name):
            folder.move(name, "broken")
            broken.append(name)
    return broken


def _read_rows(folder: Folder) -> tuple[pa.Table, list[str]]:
    tables = [pa.table({name: pa.array([], type_) for name, type_ in _TYPES.items()})]
    problems: list[str] = []
    for name in folder.names(".parquet"):
        try:
            tables.append(folder.read_table(name, list(_TYPES)).cast(tables[0].schema))
        except DataError as error:
            problems.append(str(error))
    return pa.concat_tables(tables), problems


@dataclass(slots=True)
class _Plan:
    planned: int = 0
    landed: int = 0
    owed: int = 0
    unneeded: int = 0


def _planned(run: Folder, landed: Landed, accepted: dict[str, int]) -> _Plan:
    """What became of each row of the plan."""
    plan = _Plan()
    if not run.exists(PLAN):
        return plan
    policy = read_policy(run)
    for states, methods in _lines(run, landed):
        plan.planned += len(states)
        for state, method in zip(states, methods, strict=True):
            plan.landed += state is not None
            unneeded = any(states) or _satisfied(policy, accepted.get(method, 0))
            plan.unneeded += state is None and unneeded
            plan.owed += state is None and not unneeded
    return plan


def _lines(run: Folder, landed: Landed) -> Iterator[tuple[list[bool | None], list[str]]]:
    """Per line of the plan: what has landed of it, and the methods of its rows."""
    for _, line in groupby(_rows_of_plan(run, landed), key=lambda row: row[0]):
        members = list(line)
        yield [state for _, state, _ in members], [method for _, _, method in members]


def _rows_of_plan(run: Folder, landed: Landed) -> Iterator[tuple[int, bool | None, str]]:
    for batch in run.read_batches(PLAN, ["trajectory_id", "line", "method"]):
        states = landed.find(batch["trajectory_id"].to_pylist())
        yield from zip(batch["line"].to_pylist(), states, batch["method"].to_pylist(), strict=True)


def _satisfied(policy: Policy, n_accepted: int) -> bool:
    return policy.target_accepted is not None and n_accepted >= policy.target_accepted


def _counts(values: pa.Array) -> dict[str, int]:
    return {entry["values"]: entry["counts"] for entry in pc.value_counts(values).to_pylist()}


def _failed(rows: pa.Table) -> dict[str, int]:
    """By the class of the error. A tool's failures are observations, so a row that ends by them names no class."""
    failed = rows.filter(pc.is_in(rows["stop_reason"], pa.array([str(reason) for reason in _FAILED])))
    kinds: Counter[str] = Counter()
    for reason, error in zip(failed["stop_reason"].to_pylist(), failed["error"].to_pylist(), strict=True):
        named = _KIND.match(error or "")
        kinds[named[1] if named else reason] += 1
    return dict(kinds)


def _strange(by_reason: dict[str, int]) -> list[str]:
    known = {str(reason) for reason in StopReason}
    return [f"{n} rows end with the unknown reason '{name}'" for name, n in by_reason.items() if name not in known]


def _chain(run: Folder) -> list[str]:
    """The renderer of the dataset is the renderer of the model."""
    if not (run / "dataset").exists("manifest.json") or not (run / "model").exists("fireact.json"):
        return []
    made = (run / "dataset").read_json("manifest.json")["renderer_fingerprint"]
    trained = (run / "model").read_json("fireact.json")["renderer_fingerprint"]
    return [] if made == trained else [f"the dataset was rendered by {made}, the model was trained with {trained}"]
