"""The audit of a run: what was planned, what was written and how it ended, and whether it all adds up.

planned = finished + stopped + failed + skipped + pending, no key twice, no file that cannot be read, one renderer from
the dataset to the model. Finished rows (`done`) have an answer; stopped ones met a limit of the recipe or of the
method; failed ones were ended by something around the agent (types.StopReason.outcome). `audit` only reads, so it
works on a run that is going on; it works on columns and part by part, so that a million rows are no matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from fireact_ray.core.errors import InputError
from fireact_ray.core.storage.artifacts import MANIFEST, MODEL_CARD, read_dataset_manifest, read_model_card
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.types import FAILURES, StopReason
from fireact_ray.rollouts.completed import Written, read_totals
from fireact_ray.rollouts.plan import PLAN, Policy, read_policy


@dataclass(frozen=True, slots=True)
class Audit:
    """Counts over the distinct rows of a run. `problems` is empty where everything adds up."""

    planned: int
    by_reason: dict[str, int]
    failed: dict[str, int]  # of the written rows, by the class of their error
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
    written, rows, problems = read_totals(run / "trajectories")
    plan = _planned(run, written, rows.accepted)
    if rows.repeated:
        problems.append(f"{rows.repeated} rows repeat the key of another row; readers count each key once")
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
        problems=(*problems, *_unknown_reasons(rows.by_reason), *_renderers_differ(run)),
    )


@dataclass(slots=True)
class _PlanCounts:
    planned: int = 0
    written: int = 0
    pending: int = 0
    skipped: int = 0


def _planned(run: Folder, written: Written, accepted: dict[str, int]) -> _PlanCounts:
    """What became of each row of the plan."""
    plan = _PlanCounts()
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


def _unknown_reasons(by_reason: dict[str, int]) -> list[str]:
    known = {str(reason) for reason in StopReason}
    return [f"{n} rows end with the unknown reason '{name}'" for name, n in by_reason.items() if name not in known]


def _renderers_differ(run: Folder) -> list[str]:
    """A problem, where the renderer of the dataset is not that of the model."""
    if not (run / "dataset").exists(MANIFEST) or not (run / "model").exists(MODEL_CARD):
        return []
    made = read_dataset_manifest(run / "dataset", "renderer_fingerprint")["renderer_fingerprint"]
    trained = read_model_card(run / "model")["renderer_fingerprint"]
    return [] if made == trained else [f"the dataset was rendered by {made}, the model was trained with {trained}"]
