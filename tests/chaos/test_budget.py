"""Random budgets: what is spent stays within the cap, and raising the cap goes on without paying twice."""

import pytest

from fireact_ray.demo.teacher.faults import Latency

from . import invariants
from .scene import Scene, scene

pytestmark = [pytest.mark.chaos, pytest.mark.ray]

IN_FLIGHT = 8
PROMPT_USD, COMPLETION_USD = 1.0, 4.0  # per million tokens
PER_ROW = {"max_calls": 3, "max_tokens": 1600, "max_cost_usd": 0.0018}  # about
PRICES = "as_of: 2026-11-01\nhosts: {{'*': {{scripted-teacher: {{prompt: {}, completion: {}}}}}}}\n"


def spent(made: Scene, limit: str) -> float:
    """What the provider would ask for."""
    stats = made.teacher.stats()
    if limit == "max_calls":
        return stats["requests"]
    if limit == "max_tokens":
        return stats["prompt_tokens"] + stats["completion_tokens"]
    return (stats["prompt_tokens"] * PROMPT_USD + stats["completion_tokens"] * COMPLETION_USD) / 1e6


def dearest(made: Scene, limit: str) -> float:
    if limit == "max_calls":
        return 0  # each call is one, known beforehand: the cap is never passed
    usages = [step.usage for row in made.rows for step in row.steps]
    if limit == "max_tokens":
        return max(usage.prompt_tokens + usage.completion_tokens for usage in usages)
    return max(usage.prompt_tokens * PROMPT_USD + usage.completion_tokens * COMPLETION_USD for usage in usages) / 1e6


def test_a_cap_holds_and_a_higher_one_goes_on_without_paying_twice(chaos, tmp_path, local_ray):
    """Each limit in turn stops the same run, somewhere in its third."""
    n_rows = 12
    (tmp_path / "prices.yaml").write_text(PRICES.format(PROMPT_USD, COMPLETION_USD))
    prices = f"teacher.quota.prices={tmp_path / 'prices.yaml'}"
    for round_ in range(chaos.either(1, 7)):
        latency, workers = Latency(median_s=0.05), chaos.either(1, 2)
        with scene(tmp_path / str(round_), chaos.seed, n_rows, workers=workers, latency=latency) as made:
            stops: list[tuple[str, float, float]] = []
            for nth, limit in enumerate(chaos.rng.sample(sorted(PER_ROW), 3)):
                whole = (nth + chaos.rng.uniform(0.2, 0.8)) / 3 * n_rows * PER_ROW[limit]
                cap = whole if limit == "max_cost_usd" else int(whole)
                settings = [prices, f"generate.budget.{limit}={cap}"]
                if round_ or nth:
                    stopped = made.generate(*settings)
                    assert stopped.code == 3
                    assert limit in stopped.message
                else:  # once as a command
                    stopped = made.finish(*settings, code=3)
                    assert limit in stopped.said
                    assert "Traceback" not in stopped.said
                stops.append((limit, cap, spent(made, limit)))
            assert made.generate(prices, "generate.budget.max_calls=10000").code == 0
            invariants.check(made, extra_calls=0)
            for limit, cap, at_stop in stops:
                assert at_stop <= cap + IN_FLIGHT * dearest(made, limit)
                chaos.note(f"{limit} {cap:g}: stopped at {at_stop:g}")
