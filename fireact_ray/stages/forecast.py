"""Forecast: what a generation will take, from a pilot that is a part of it.

A few questions, spread over the plan, go through the very path that all will take, into the same run folder. So nothing
is asked for twice: `generate` finds the pilot's rows there, and a second forecast makes no call.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Set
from dataclasses import dataclass

from fireact_ray.agent.quota.budget import Price, Spent
from fireact_ray.core.storage.inputs import lock_inputs
from fireact_ray.core.storage.lease import run_lease
from fireact_ray.core.storage.trajectories import read_trajectories
from fireact_ray.recipe.inputs import NOT_SHAPING
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.teacher import teacher_limits, teacher_price
from fireact_ray.rollouts.completed import read_written
from fireact_ray.rollouts.forecast.amounts import Amounts, Range
from fireact_ray.rollouts.forecast.budget_fit import Fit, fits
from fireact_ray.rollouts.forecast.estimate import Estimate, Pending, RateLimits, ceiling, estimate
from fireact_ray.rollouts.forecast.pilot import Pilot, paid_amounts, spread
from fireact_ray.rollouts.journal import paid_by_row, paid_for
from fireact_ray.rollouts.plan import Planned, PlanSize
from fireact_ray.stages.generate import Generation, open_generation
from fireact_ray.stages.shared_quota import journals_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Forecast:
    """What `fireact plan` shows. `may_shrink`: pending rows may yet be skipped, but all of them are reckoned with.
    `n_shared`: rows that others make, which are not pending here; `pending`: the keys of those that are."""

    run_dir: str
    estimate: Estimate
    fits: list[Fit]
    may_shrink: bool
    n_shared: int
    pending: frozenset[str]


def forecast_costs(recipe: Recipe, n_pilot: int = 20, elsewhere: Set[str] = frozenset()) -> Forecast:
    """Make the pilot's rows that are not written yet (the first attempt at `n_pilot` questions, by each method), then
    estimate the rest. With `n_pilot` 0 nothing is called and nothing is written, and no key is needed. `elsewhere`:
    keys of rows that will be taken over from others.

    Raises what `generate` raises; BudgetExhausted too, where the budget ends within the pilot.
    """
    with open_generation(recipe, asks=n_pilot > 0) as generation:
        pilot = _pilot(generation, n_pilot)
        if pilot:
            with run_lease(generation.run, "fireact plan"):
                generation.begin()
                logger.info("pilot: %d rows", len(pilot))
                generation.roll_out("pilot", PlanSize(len(pilot), len(pilot)), only=pilot)
        elif (folder := generation.run / "trajectories").names(".parquet"):
            lock_inputs(folder, generation.inputs, is_empty=False, ignored=NOT_SHAPING)
        return _forecast(generation, elsewhere)


def _pilot(generation: Generation, n_pilot: int) -> frozenset[str]:
    chosen = {question.id for question in spread(generation.questions, n_pilot)}
    pending = _pending(generation) if chosen else []
    return frozenset(row.trajectory_id for row in pending if row.attempt == 0 and row.question.id in chosen)


def _pending(generation: Generation) -> list[Planned]:
    """Every row that may still have to be run."""
    written, _ = read_written(generation.run / "trajectories")
    lines = list(generation.lines)
    states = iter(written.find([row.trajectory_id for line in lines for row in line]))
    found = [(line, [next(states) for _ in line]) for line in lines]
    return [
        row
        for line, of_line in found
        if not any(of_line)  # what comes behind an accepted row is skipped
        for row, state in zip(line, of_line, strict=True)
        if state is None
    ]


def _forecast(generation: Generation, elsewhere: Set[str]) -> Forecast:
    recipe, run, missing = generation.recipe, generation.run, _pending(generation)
    pending = [row for row in missing if row.trajectory_id not in elsewhere]
    price = teacher_price(generation.builder.recipe)
    paid = paid_by_row(run / "journal")
    planned = {row.trajectory_id for line in generation.lines for row in line}
    done = [row for row in read_trajectories(run / "trajectories") if row.trajectory_id in planned]
    unfinished = sum((paid.get(row.trajectory_id, Spent()) for row in pending), Spent())
    found = estimate(
        Pilot.of(done, paid, price),
        _by_method(pending),
        _ceilings(generation, price),
        paid_amounts(unfinished, price),
        _rate_limits(generation),
    )
    other_runs = (paid_for(journal) for journal in journals_of(recipe) if journal != run / "journal")
    spent = sum(other_runs, sum(paid.values(), Spent()))
    return Forecast(
        run_dir=run.uri,
        estimate=found,
        fits=fits(found, recipe.generate.budget.limits, spent, price),
        may_shrink=_may_shrink(recipe),
        n_shared=len(missing) - len(pending),
        pending=frozenset(row.trajectory_id for row in pending),
    )


def _by_method(pending: list[Planned]) -> dict[str, Pending]:
    questions: defaultdict[str, list[str]] = defaultdict(list)
    for row in pending:
        questions[row.method].append(row.question.id)
    return {method: Pending(len(ids), len(set(ids))) for method, ids in questions.items()}


def _may_shrink(recipe: Recipe) -> bool:
    policy = recipe.generate.policy
    return policy.until_accepted or policy.escalate or policy.target_accepted is not None


def _ceilings(generation: Generation, price: Price | None) -> dict[str, Amounts[Range | None]]:
    longest = max(generation.questions, key=lambda question: len(question.text))
    max_chars = generation.recipe.search.max_chars
    return {method: ceiling(agent, longest, max_chars, price) for method, agent in generation.agents.items()}


def _rate_limits(generation: Generation) -> RateLimits:
    config = generation.recipe.generate
    slots = (
        max(1, config.concurrency // config.workers.max) * config.workers.max
    )  # as stages.rollout_workers deals them out to workers
    return RateLimits(teacher_limits(generation.builder.recipe), slots, generation.recipe.search.rate.per_second)
