"""A plan against the bill that then really comes."""

from pathlib import Path

import pytest

from fireact_ray.core.errors import BudgetExhausted, InputError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import read_trajectories
from fireact_ray.stages.forecast import forecast_costs
from fireact_ray.stages.generate import generate

from .conftest import small_recipe

pytestmark = pytest.mark.ray

PRICES = 'as_of: 2026-11-01\nhosts: {"*": {scripted-teacher: {prompt: 1.0, completion: 4.0}}}\n'

RECIPES = {
    "one call and many": ["teacher.methods=[cot, react, reflexion]", "generate.n_questions=80"],
    "several attempts, another temperature and seed": [
        "teacher.methods=[react]",
        "teacher.sampling={temperature: 0.8, max_new_tokens: 256, seed: 7}",
        "generate.n_questions=60",
        "generate.attempts=3",
    ],
}


@pytest.fixture
def recipe_of(tmp_path, teacher):
    """120 questions to a teacher whose tokens have a price."""
    (tmp_path / "prices.yaml").write_text(PRICES)
    prices = f"teacher.quota.prices={tmp_path / 'prices.yaml'}"
    return lambda *overrides: small_recipe(tmp_path, teacher, "generate.n_questions=120", prices, *overrides)


def bill(teacher) -> dict[str, float]:
    """What the teacher's provider has counted, whoever asked."""
    stats = teacher.stats()
    prompt, completion = stats["prompt_tokens"], stats["completion_tokens"]
    cost_usd = (prompt * 1.0 + completion * 4.0) / 1e6
    calls = stats["calls"]["200"]
    return {"calls": calls, "prompt_tokens": prompt, "completion_tokens": completion, "cost_usd": cost_usd}


@pytest.mark.parametrize("name", RECIPES)
def test_the_pilots_rows_are_paid_once_and_the_bill_is_within_30_percent_of_the_plan_and_within_its_interval(
    name, recipe_of, local_ray, teacher
):
    recipe = recipe_of(*RECIPES[name])
    bound = bound_of(recipe, teacher)
    planned = forecast_costs(recipe, n_pilot=20).estimate
    after_pilot = bill(teacher)
    every = recipe.generate.n_questions // 20
    pilot = {row.question.id for row in read_trajectories(Folder(recipe.run_dir) / "trajectories")}
    assert sorted(pilot) == [f"almanac-train-{n:04}" for n in range(0, 20 * every, every)]  # spread over the questions
    assert forecast_costs(recipe, n_pilot=20).estimate == planned
    assert bill(teacher) == after_pilot
    other_settings_are_refused(recipe_of(*RECIPES[name], "teacher.sampling.temperature=0.5"))

    generate(recipe)
    whole = bill(teacher)
    assert whole["calls"] == sum(len(t.steps) for t in read_trajectories(Folder(recipe.run_dir) / "trajectories"))
    n_rows, afterwards = planned.n_done + planned.n_pending, forecast_costs(recipe, n_pilot=20).estimate
    assert (afterwards.n_done, afterwards.n_pending, afterwards.remaining.calls.high) == (n_rows, 0, 0)
    n_questions = dict.fromkeys(recipe.teacher.methods, recipe.generate.n_questions)
    assert (afterwards.unmeasured, afterwards.measured) == ([], n_questions)
    assert bill(teacher) == whole

    assert n_rows == len(read_trajectories(Folder(recipe.run_dir) / "trajectories"))
    for amount, paid in whole.items():
        taken, total = getattr(planned.taken, amount), getattr(planned.total, amount)
        assert taken == pytest.approx(after_pilot[amount]), amount
        assert after_pilot[amount] < 0.5 * paid, amount  # most of the bill was foretold, not read off
        assert 0.7 <= total.expected / paid <= 1.3, amount
        assert total.low <= paid <= total.high, amount
        assert 0 < paid <= getattr(bound.remaining, amount).high, amount


def bound_of(recipe, teacher):
    """Without a pilot nothing is asked and nothing written; the most that it may be holds."""
    bound = forecast_costs(recipe, n_pilot=0).estimate
    assert teacher.stats()["calls"] == {}
    assert not Path(recipe.run_dir).exists()
    assert sorted(bound.unmeasured) == sorted(recipe.teacher.methods)
    n_rows = recipe.generate.n_questions * recipe.generate.attempts
    most = {"cot": 3, "react": 8, "reflexion": 8}
    calls = bound.remaining.calls
    assert (calls.expected, calls.high) == (None, n_rows * sum(most[method] for method in recipe.teacher.methods))
    return bound


def other_settings_are_refused(changed) -> None:
    for n_pilot in (0, 20):
        with pytest.raises(InputError, match=r"teacher\.sampling\.temperature: was 0\.[08], now 0\.5"):
            forecast_costs(changed, n_pilot)


def test_a_budget_is_told_whether_it_suffices_and_the_pilot_keeps_to_it(recipe_of, local_ray, teacher):
    recipe = recipe_of("teacher.methods=[cot]", "generate.n_questions=40", "generate.budget.max_calls=20")
    (fit,) = forecast_costs(recipe, n_pilot=10).fits
    assert (fit.name, fit.share) == ("max_calls", pytest.approx(10 / 30))
    with pytest.raises(BudgetExhausted, match="max_calls = 20"):
        forecast_costs(recipe, n_pilot=40)
    assert teacher.stats()["calls"] == {"200": 20}
