"""A plan against the bill that then really comes."""

import pytest

from fireact_ray.core.errors import BudgetExhausted, InputError
from fireact_ray.core.storage.folder import Folder, read_trajectories
from fireact_ray.stages.generate import generate
from fireact_ray.stages.plan import plan_costs

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
    planned = plan_costs(recipe, n_pilot=20).estimate
    after_pilot = bill(teacher)
    every = recipe.generate.n_questions // 20
    pilot = {row.question.id for row in read_trajectories(Folder(recipe.run_dir) / "trajectories")}
    assert sorted(pilot) == [f"almanac-train-{n:04}" for n in range(0, 20 * every, every)]  # spread over the questions
    assert plan_costs(recipe, n_pilot=20).estimate == planned
    assert bill(teacher) == after_pilot

    generate(recipe)
    whole = bill(teacher)
    assert whole["calls"] == sum(len(t.steps) for t in read_trajectories(Folder(recipe.run_dir) / "trajectories"))
    n_rows, afterwards = planned.n_there + planned.n_pending, plan_costs(recipe, n_pilot=20).estimate
    assert (afterwards.n_there, afterwards.n_pending, afterwards.to_come.calls.high) == (n_rows, 0, 0)
    assert bill(teacher) == whole

    assert n_rows == len(read_trajectories(Folder(recipe.run_dir) / "trajectories"))
    for amount, paid in whole.items():
        taken, in_all = getattr(planned.taken, amount), getattr(planned.in_all, amount)
        assert taken == pytest.approx(after_pilot[amount]), amount
        assert after_pilot[amount] < 0.5 * paid, amount  # most of the bill was foretold, not read off
        assert 0.7 <= in_all.expected / paid <= 1.3, amount
        assert in_all.low <= paid <= in_all.high, amount


def test_without_a_pilot_nothing_is_asked_and_nothing_written_and_the_bound_holds(
    recipe_of, tmp_path, local_ray, teacher
):
    recipe = recipe_of("teacher.methods=[cot, react]", "generate.n_questions=12")
    bound = plan_costs(recipe, n_pilot=0).estimate
    assert teacher.stats()["calls"] == {}
    assert not (tmp_path / recipe.name).exists()
    assert sorted(bound.unmeasured) == ["cot", "react"]
    assert (bound.to_come.calls.expected, bound.to_come.calls.high) == (None, 12 * (3 + 8))
    generate(recipe)
    for amount, paid in bill(teacher).items():
        assert 0 < paid <= getattr(bound.to_come, amount).high, amount
    measured = plan_costs(recipe, n_pilot=0).estimate
    assert (measured.unmeasured, measured.measured) == ([], {"cot": 12, "react": 12})


def test_a_budget_is_told_whether_it_suffices_and_the_pilot_keeps_to_it(recipe_of, local_ray, teacher):
    recipe = recipe_of("teacher.methods=[cot]", "generate.n_questions=40", "generate.budget.max_calls=20")
    (fit,) = plan_costs(recipe, n_pilot=10).fits
    assert (fit.name, fit.share) == ("max_calls", pytest.approx(10 / 30))
    with pytest.raises(BudgetExhausted, match="max_calls = 20"):
        plan_costs(recipe, n_pilot=40)
    assert teacher.stats()["calls"] == {"200": 20}


def test_a_folder_of_other_settings_is_refused_with_and_without_a_pilot(recipe_of, local_ray, teacher):
    plan_costs(recipe_of("teacher.methods=[cot]"), n_pilot=2)
    for n_pilot in (0, 2):
        with pytest.raises(InputError, match=r"teacher\.sampling\.temperature: was 0\.0, now 0\.5"):
            plan_costs(recipe_of("teacher.methods=[cot]", "teacher.sampling.temperature=0.5"), n_pilot)
