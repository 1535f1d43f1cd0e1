import pytest

from fireact_ray.agent.quota.budget import Price
from fireact_ray.agent.quota.prices import read_prices
from fireact_ray.core.errors import InputError
from fireact_ray.core.types import Usage
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.recipe.teacher import teacher_price

OWN = """
as_of: 2026-11-01
hosts:
  api.openai.com: {gpt-4.1: {prompt: 1, completion: 2}}
  "*": {my-model: {prompt: 0.5, completion: 0.25}}
"""


@pytest.fixture
def own(tmp_path):
    (tmp_path / "p.yaml").write_text(OWN)
    return str(tmp_path / "p.yaml")


def recipe(*overrides):
    model = "teacher.model={kind: openai, name: gpt-4.1, api_key_env: null}"
    return load_recipe("demo", [model, *overrides])


def test_a_reply_costs_its_prompt_and_its_completion():
    assert Price(2.0, 8.0).cost_usd(Usage(1_000_000, 500_000)) == 6.0


def test_a_dated_snapshot_costs_what_its_model_costs():
    prices = read_prices()
    assert prices.find("api.openai.com", "gpt-4.1-2025-04-14") == prices.find("api.openai.com", "gpt-4.1")
    assert prices.find("api.openai.com", "gpt-4.1-2025-04-14") is not None


def test_the_same_name_at_another_host_has_no_known_price():
    assert read_prices().find("localhost", "gpt-4.1") is None


def test_an_own_file_takes_the_place_of_the_shipped_one(own):
    assert teacher_price(recipe(f"teacher.quota.prices={own}")) == Price(1, 2)
    assert read_prices(own).find("anywhere", "my-model") == Price(0.5, 0.25)
    assert read_prices(own).find("api.openai.com", "gpt-4o") is None


def test_an_unknown_price_is_none_but_an_error_under_a_budget_in_dollars():
    unknown = "teacher.model.name=gpt-77"
    assert teacher_price(recipe(unknown)) is None
    assert teacher_price(recipe(unknown, "generate.budget.max_tokens=5")) is None
    with pytest.raises(InputError, match=r"max_cost_usd = 5 needs a price.*none of 'gpt-77' at api\.openai\.com"):
        teacher_price(recipe(unknown, "generate.budget.max_cost_usd=5"))


@pytest.mark.parametrize(
    "text", ["hosts: [", "hosts: {}", "as_of: 2026-01-01\nhosts: {h: {m: {prompt: -1, completion: 1}}}"]
)
def test_a_bad_price_file_is_an_input_error(tmp_path, text):
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(InputError, match=r"p\.yaml"):
        read_prices(str(tmp_path / "p.yaml"))
    with pytest.raises(InputError, match="cannot be read"):
        read_prices(str(tmp_path / "missing.yaml"))


def test_all_problems_of_a_price_file_are_named_by_their_keys(tmp_path):
    (tmp_path / "p.yaml").write_text("as_of: 2026-01-01\nhosts: {h: {m: {prompt: -1, completion: 1}}}\nhost: {}")
    with pytest.raises(InputError, match=r"hosts\.h\.m\.prompt: input should be .* found -1\. host: unknown key"):
        read_prices(str(tmp_path / "p.yaml"))
