"""The books of a run: what was planned, what has landed and how it ended, and whether it all adds up.

planned = done + stopped + failed + owed, no key twice, no file that cannot be read, one renderer from the dataset to
the model. Done rows finished with an answer; stopped ones met a limit of the recipe or of the method; failed ones were
ended by something around the agent: the teacher's server, a tool, the clock. `books` only reads, so it works on a run
that is going on.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from fireact_ray.errors import DataError, InputError
from fireact_ray.store import Folder
from fireact_ray.types import StopReason

PLAN = "plan.parquet"
_COLUMNS = ["trajectory_id", "stop_reason", "error", "exact_match", "prompt_tokens", "completion_tokens", "cost_usd"]
_FAILED = {StopReason.MODEL_ERROR, StopReason.TOOL_ERROR, StopReason.TIMEOUT}
_KIND = re.compile(r"([A-Z]\w*): ")  # the class at the head of a row's error


@dataclass(frozen=True, slots=True)
class Books:
    """Counts over the distinct rows of a run. `problems` is empty where everything adds up."""

    planned: int
    by_reason: dict[str, int]  # of all landed rows
    failed: dict[str, int]  # of those that failed, by the class of their error
    correct: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None  # None where the price of any row is unknown
    owed: int
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
        apart = _FAILED | {StopReason.FINISHED}
        return {reason: n for reason, n in self.by_reason.items() if reason not in apart}


def write_plan(run: Folder, keys: list[str]) -> None:
    """Say what the run owes, before anything is paid for."""
    run.write_table(PLAN, pa.table({"trajectory_id": pa.array(keys, pa.string())}))


def books(run: Folder) -> Books:
    """Read the books of a run. Raises InputError where there are none."""
    if not run.exists(PLAN) and not (run / "trajectories").names(".parquet"):
        raise InputError(f"{run.uri}: no run there. Give a run folder, such as runs/demo.")
    rows, problems = _landed(run / "trajectories")
    planned = set(run.read_table(PLAN)["trajectory_id"].to_pylist()) if run.exists(PLAN) else set()
    counted = Counter(row["trajectory_id"] for row in rows)
    if repeated := sum(n > 1 for n in counted.values()):
        problems.append(f"{repeated} keys landed more than once; readers count them once")
    distinct = list({row["trajectory_id"]: row for row in rows}.values())
    costs = [row["cost_usd"] for row in distinct]
    owed = len(planned - counted.keys())
    if owed and (run / "trajectories").exists("manifest.json"):
        problems.append(f"the manifest is written, but {owed} planned rows are missing: run `fireact generate` again")
    return Books(
        planned=len(planned),
        by_reason=dict(Counter(row["stop_reason"] for row in distinct)),
        failed=dict(Counter(_kind(row) for row in distinct if row["stop_reason"] in _FAILED)),
        correct=sum(row["exact_match"] == 1.0 for row in distinct),
        prompt_tokens=sum(row["prompt_tokens"] for row in distinct),
        completion_tokens=sum(row["completion_tokens"] for row in distinct),
        cost_usd=None if not costs or None in costs else sum(costs),
        owed=owed,
        unplanned=len(counted.keys() - planned),
        problems=(*problems, *_reasons(distinct), *_chain(run)),
    )


def set_aside_broken(folder: Folder) -> list[str]:
    """Move parts that cannot be read into broken/, so that their rows are owed again. Returns their names."""
    broken = []
    for name in folder.names(".parquet"):
        try:
            folder.read_table(name)
        except DataError:
            folder.move(name, "broken")
            broken.append(name)
    return broken


def _landed(folder: Folder) -> tuple[list[dict[str, Any]], list[str]]:
    rows: list[dict[str, Any]] = []
    problems: list[str] = []
    for name in folder.names(".parquet"):
        try:
            rows += folder.read_table(name, _COLUMNS).to_pylist()
        except DataError as error:
            problems.append(str(error))
    return rows, problems


def _kind(row: dict[str, Any]) -> str:
    """The class of the error; a tool's failures are observations, so a row that ends by them holds none."""
    named = _KIND.match(row["error"] or "")
    return named[1] if named else str(row["stop_reason"])


def _reasons(rows: list[dict[str, Any]]) -> list[str]:
    known = {str(reason) for reason in StopReason}
    strange = Counter(row["stop_reason"] for row in rows if row["stop_reason"] not in known)
    return [f"{n} rows end with the unknown reason '{reason}'" for reason, n in strange.items()]


def _chain(run: Folder) -> list[str]:
    """The renderer of the dataset is the renderer of the model."""
    if not (run / "dataset").exists("manifest.json") or not (run / "model").exists("fireact.json"):
        return []
    made = (run / "dataset").read_json("manifest.json")["renderer_fingerprint"]
    trained = (run / "model").read_json("fireact.json")["renderer_fingerprint"]
    return [] if made == trained else [f"the dataset was rendered by {made}, the model was trained with {trained}"]
