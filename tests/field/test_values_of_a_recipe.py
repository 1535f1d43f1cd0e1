"""What a recipe says is what it means: `false` is no threshold of 0, and "none" is a text."""

import pytest

from fireact_ray.core.errors import RecipeError
from fireact_ray.recipe.loader import load_recipe

NUMBER, OFF = "expected a number; found", "expected a number; null switches it off; found"
TEXT = "this is a text; for no value write null, without quotes; found"


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("convert.decontaminate=false", f"convert.decontaminate: {OFF} False"),
        ("convert.decontaminate=off", f"convert.decontaminate: {OFF} False"),
        ("convert.near_duplicates=true", f"convert.near_duplicates: {OFF} True"),
        ("convert.n=true", f"convert.n: {OFF} True"),
        ("convert.methods={react: true}", "convert.methods: expected a number; null switches it off"),
        ("generate.max_retries=no", f"generate.max_retries: {OFF} False"),
        ("student.limits.max_steps=yes", f"student.limits.max_steps: {NUMBER} True"),
        ("teacher.sampling.temperature=false", f"teacher.sampling.temperature: {NUMBER} False"),
        ("train.lora.dropout=false", f"train.lora.dropout: {NUMBER} False"),
        ("convert.decontaminate=none", f"convert.decontaminate: {TEXT} 'none'"),
        ("convert.n='null'", f"convert.n: {TEXT} 'null'"),
        ("task.path=None", f"task.path: {TEXT} 'None'"),
        ("replay=none", f"replay: {TEXT} 'none'"),
        ("serve.api_key_env=None", f"serve.api_key_env: {TEXT} 'None'"),
    ],
)
def test_a_value_that_would_be_taken_for_another_is_refused(override, said):
    with pytest.raises(RecipeError) as caught:
        load_recipe("demo", [override])
    assert said in str(caught.value)


def test_what_is_meant_is_taken():
    recipe = load_recipe(
        "demo",
        ["convert.decontaminate=null", "convert.near_duplicates=0", "generate.escalate=true", "train.use_gpu=off"],
    )
    assert (recipe.convert.decontaminate, recipe.convert.near_duplicates) == (None, 0.0)
    assert (recipe.generate.escalate, recipe.train.use_gpu) == (True, False)
