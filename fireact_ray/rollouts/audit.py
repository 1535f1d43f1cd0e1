"""The audit of a run: what was planned, what was written and how it ended, and whether it all adds up.

planned = done + stopped + failed + skipped + pending, no key twice, no file that cannot be read, one renderer from the
dataset to the model. Done rows finished with an answer; stopped ones met a limit of the recipe or of the method; failed
ones were ended by something around the agent (types.StopReason.outcome). `audit` only reads, so it works
on a run that is going on; it works on columns and part by part, so that a million rows are no matter.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fireact_ray.core.errors import DataError, InputError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.names import MANIFEST, MODEL_CARD
from fireact_ray.core.storage.rows import is_accepted, row_keys
from fireact_ray.core.types import FAILURES, StopReason
from fireact_ray.rollouts.plan import PLAN, Policy, Written, read_policy

_COLUMNS = pa.schema(  # that the audit reads
    [
        ("trajectory_id", pa.string()),
        ("method", pa.string()),
        ("stop_reason", pa.string()),
        ("error", pa.string()),
        ("exact_match", pa.float64()),
        ("prompt_tokens", pa.int64()),
        ("completion_tokens", pa.int64()),
        ("cost_usd", pa.float64()),
    ]
)
_NO_KEYS = np.array([], dtype=np.bytes_)
_KIND = re.compile(r"([A-Z]\w*): ")  # the class at the head of a row's error


@dataclass(frozen=True, slots=True)
class Audit:
    """Counts over the distinct rows of a run. `problems` is empty where everything adds up."""

    planned: int
    by_reason: dict[str, int]
    failed: dict[str, int]  # of these, by the class of their error
    accepted: dict[str, int]  # by method: finished, and not known to be wrong
    correct: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None  # None where the price of any row is unknown
    pending: int
    skipped: int  # planned, but an earlier row of the question or enough others were accepted
    unplanned: int  # written rows that the newest plan does not hold, such as imported ones
    problems: tuple[str, ...]

    @property
    def written(self) -> int:
        return sum(self.by_reason.values())

    @property
    def done(self) -> int:
        return self.by_reason.get(StopReason.FINISHED, 0)

    @property
    def stopped(self) -> dict[str, int]:
        """Written rows that neither finished nor failed, by reason."""
        return {reason: n for reason, n in self.by_reason.items() if reason not in (*FAILURES, StopReason.FINISHED)}

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "written": self.written}


def audit(run: Folder) -> Audit:
    """Read what became of a run's rows. Raises InputError where there are none."""
    if not run.exists(PLAN) and not (run / "trajectories").names(".parquet"):
        raise InputError(f"{run.uri}: no run there. Give a run folder, such as runs/demo.")
    written, rows, problems = _written(run / "trajectories")
    plan = _planned(run, written, rows.accepted)
    if plan.pending and (run / "trajectories").exists(MANIFEST):
        problems.append(
            f"the manifest is written, but {plan.pending} planned rows are missing: run `fireact generate` again"
        )
    return Audit(
        planned=plan.planned,
        by_reason=dict(rows.by_reason),
        failed=dict(rows.failed),
        accepted=dict(rows.accepted),
        correct=rows.correct,
        prompt_tokens=rows.prompt_tokens,
        completion_tokens=rows.completion_tokens,
        cost_usd=None if rows.unpriced or not len(written) else rows.cost_usd,
        pending=plan.pending,
        skipped=plan.skipped,
        unplanned=len(written) - plan.written,
        problems=(*problems, *_strange(rows.by_reason), *_chain(run)),
    )


def set_aside_broken(folder: Folder) -> list[str]:
    """Move parts that cannot be read into broken/, so that their rows are pending again. Returns their names."""
    broken = []
    for name in folder.names(".parquet"):
        if not folder.is_whole(name):
            folder.move(name, "broken")
            broken.append(name)
    return broken


@dataclass(slots=True)
class _Rows:
    """Sums over written rows. `unpriced`: rows whose cost is unknown."""

    by_reason: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    correct: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0

    def add(self, rows: pa.Table, ok: pa.Array) -> None:
        self.by_reason.update(_counts(rows["stop_reason"]))
        self.failed.update(_failed(rows))
        self.accepted.update(_counts(rows["method"].filter(ok)))
        self.correct += pc.sum(pc.equal(rows["exact_match"], 1.0)).as_py() or 0
        self.prompt_tokens += pc.sum(rows["prompt_tokens"]).as_py() or 0
        self.completion_tokens += pc.sum(rows["completion_tokens"]).as_py() or 0
        self.cost_usd += pc.sum(rows["cost_usd"]).as_py() or 0.0
        self.unpriced += rows["cost_usd"].null_count


def _written(folder: Folder) -> tuple[Written, _Rows, list[str]]:
    """Which rows are written, their sums, and what is wrong with the parts.

    Of all rows only the keys are held: they say of each part, when it is read again, which of its rows are new.
    """
    keys, problems = _keys(folder)
    ids = np.unique(np.concatenate([_NO_KEYS, *keys.values()]))
    seen, accepted = np.zeros(len(ids), dtype=np.bool_), np.zeros(len(ids), dtype=np.bool_)
    sums, repeated = _Rows(), 0
    for piece in _again(folder, keys, problems):
        at, first = np.unique(np.searchsorted(ids, row_keys(piece)), return_index=True)
        new = ~seen[at]
        rows = piece.take(pa.array(first[new]))
        ok = is_accepted(rows)
        sums.add(rows, ok)
        seen[at], accepted[at[new]] = True, ok.to_numpy(zero_copy_only=False)
        repeated += len(piece) - len(rows)
    if repeated:
        problems.append(f"{repeated} rows written more than once; readers count a key once")
    return Written(ids[seen], accepted[seen]), sums, problems


def _keys(folder: Folder) -> tuple[dict[str, np.ndarray], list[str]]:
    """By part that can be read whole, and what is wrong with the others."""
    keys: dict[str, np.ndarray] = {}
    problems: list[str] = []
    for name in folder.names(".parquet"):
        try:
            keys[name] = np.concatenate([_NO_KEYS, *map(row_keys, _pieces(folder, name))])
        except DataError as error:
            problems.append(str(error))
    return keys, problems


def _again(folder: Folder, names: Iterable[str], problems: list[str]) -> Iterator[pa.Table]:
    """The rows of these parts; one that has gone since is a problem."""
    for name in names:
        try:
            yield from _pieces(folder, name)
        except DataError as error:
            problems.append(str(error))


def _pieces(folder: Folder, name: str) -> Iterator[pa.Table]:
    for batch in folder.read_batches(name, _COLUMNS.names):
        yield pa.Table.from_batches([batch]).cast(_COLUMNS)


@dataclass(slots=True)
class _Plan:
    planned: int = 0
    written: int = 0
    pending: int = 0
    skipped: int = 0


def _planned(run: Folder, written: Written, accepted: dict[str, int]) -> _Plan:
    """What became of each row of the plan."""
    plan = _Plan()
    if not run.exists(PLAN):
        return plan
    policy = read_policy(run)
    for states, methods in _lines(run, written):
        plan.planned += len(states)
        for state, method in zip(states, methods, strict=True):
            plan.written += state is not None
            skipped = any(states) or _satisfied(policy, accepted.get(method, 0))
            plan.skipped += state is None and skipped
            plan.pending += state is None and not skipped
    return plan


def _lines(run: Folder, written: Written) -> Iterator[tuple[list[bool | None], list[str]]]:
    """Per line of the plan: what is written of it, and the methods of its rows."""
    for _, line in groupby(_rows_of_plan(run, written), key=lambda row: row[0]):
        members = list(line)
        yield [state for _, state, _ in members], [method for _, _, method in members]


def _rows_of_plan(run: Folder, written: Written) -> Iterator[tuple[int, bool | None, str]]:
    for batch in run.read_batches(PLAN, ["trajectory_id", "line", "method"]):
        states = written.find(batch["trajectory_id"].to_pylist())
        yield from zip(batch["line"].to_pylist(), states, batch["method"].to_pylist(), strict=True)


def _satisfied(policy: Policy, n_accepted: int) -> bool:
    return policy.target_accepted is not None and n_accepted >= policy.target_accepted


def _counts(values: pa.Array) -> dict[str, int]:
    return {entry["values"]: entry["counts"] for entry in pc.value_counts(values).to_pylist()}


def _failed(rows: pa.Table) -> dict[str, int]:
    """By the class of the error. A tool's failures are observations, so a row that ends by them names no class."""
    failed = rows.filter(pc.is_in(rows["stop_reason"], pa.array(FAILURES)))
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
    if not (run / "dataset").exists(MANIFEST) or not (run / "model").exists(MODEL_CARD):
        return []
    made = (run / "dataset").read_json(MANIFEST)["renderer_fingerprint"]
    trained = (run / "model").read_json(MODEL_CARD)["renderer_fingerprint"]
    return [] if made == trained else [f"the dataset was rendered by {made}, the model was trained with {trained}"]
