"""Written trajectories -> what a row takes: nothing is assumed where something was measured."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from fireact_ray.agent.quota.budget import Price, Spent
from fireact_ray.core.types import Trajectory, Usage
from fireact_ray.rollouts.forecast.amounts import Amounts, Known, T, combined, summed


@dataclass(frozen=True)
class Pilot:
    """`by_method`: one mean row per question; `taken`: by all rows together."""

    n_rows: int
    by_method: Mapping[str, Sequence[Amounts[Known]]]
    taken: Amounts[Known]

    @classmethod
    def of(cls, trajectories: Iterable[Trajectory], paid: Mapping[str, Spent], price: Price | None) -> Pilot:
        """`paid`: what the journal holds of each row, which may be more than its steps tell (a reply that was cut)."""
        attempts: dict[str, dict[str, list[Amounts[Known]]]] = defaultdict(lambda: defaultdict(list))
        rows = []
        for trajectory in trajectories:
            rows.append(_taken(trajectory, paid.get(trajectory.trajectory_id), price))
            attempts[trajectory.method][trajectory.question.id].append(rows[-1])
        by_method = {
            method: [combined(lambda *values: fmean(values), *alike) for alike in questions.values()]
            for method, questions in attempts.items()
        }
        return cls(len(rows), by_method, summed(rows))


def spread(items: Sequence[T], n: int) -> list[T]:
    """`n` items (all where there are fewer), evenly over their order: a task's file may be sorted."""
    n = min(n, len(items))
    return [items[i * len(items) // n] for i in range(n)]


def paid_amounts(spent: Spent, price: Price | None) -> Amounts[Known]:
    """What paid replies of unfinished rows took; searches and seconds are not known of them and count as none."""
    cost_usd = price.cost_usd(spent.usage) if price else None
    return Amounts(spent.calls, spent.usage.prompt_tokens, spent.usage.completion_tokens, cost_usd, 0, 0, 0)


def _taken(trajectory: Trajectory, paid: Spent | None, price: Price | None) -> Amounts[Known]:
    """Tokens and $ are unknown where the server counted no tokens of a reply."""
    counted = all(step.usage != Usage() for step in trajectory.steps)
    spent = paid or Spent(len(trajectory.steps), trajectory.usage)
    return Amounts(
        calls=spent.calls,
        prompt_tokens=spent.usage.prompt_tokens if counted else None,
        completion_tokens=spent.usage.completion_tokens if counted else None,
        cost_usd=price.cost_usd(spent.usage) if counted and price else None,
        searches=trajectory.n_searches,
        model_s=sum(step.model_latency_s for step in trajectory.steps),
        row_s=trajectory.wall_time_s,
    )
