"""A student by kind: what is not said is a local one, whose run folders remember what they always did."""

from datetime import date
from pathlib import Path

import pytest
import yaml

from fireact_ray.core.errors import InputError, RecipeError
from fireact_ray.recipe.hosted import as_teacher, checked_text, hosted_home, hosted_model, job_settings
from fireact_ray.recipe.inputs import student_inputs
from fireact_ray.recipe.loader import load_recipe, parse_recipe, to_yaml
from fireact_ray.recipe.student import local_student
from fireact_ray.recipe.students import HostedStudentConfig, StudentConfig
from fireact_ray.training.hosted.job import JobSettings

HOSTED = """
name: r
seed: 5
student:
  kind: openai-ft
  name: small
  base_url: http://127.0.0.1:1/v1
  api_key_env: null
  leave_out: [seed]
  suffix: agent
  limits: {max_steps: 4}
generate: {budget: {max_calls: 3}}
"""


def test_a_student_without_a_kind_is_local_and_is_stored_as_ever(tmp_path):
    recipe = load_recipe("demo")
    assert isinstance(recipe.student, StudentConfig)
    assert set(yaml.safe_load(to_yaml(recipe))["student"]) == {
        "base_model",
        "renderer",
        "max_context",
        "sampling",
        "limits",
    }
    assert "precision" in yaml.safe_load(to_yaml(load_recipe("demo", ["student.precision=fp32"])))["student"]
    assert set(student_inputs(recipe, "finetuned")["student"]) == {
        "base_model",
        "renderer",
        "max_context",
        "sampling",
        "limits",
    }
    named = load_recipe("demo", ["student.kind=local"])
    assert named == recipe


def test_a_hosted_student_is_read_and_survives_being_written_out():
    recipe = parse_recipe("r.yaml", HOSTED)
    assert isinstance(recipe.student, HostedStudentConfig)
    assert parse_recipe("r.yaml", to_yaml(recipe)) == recipe
    assert job_settings(recipe) == JobSettings("small", 3, "auto", "auto", "agent", None)


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("student.kind=openai", "student: expected one of local, openai-ft; found 'openai'"),
        ("student.base_model=x", "student.base_model: unknown key"),
        ("student.n_epochs=0", "student.n_epochs"),
        ("student.n_epochs=true", "student.n_epochs: expected a number"),
        ("student.suffix=a b", "student.suffix"),
        ("student.max_cost_usd=5", "student: max_cost_usd needs an estimate: set price_per_million_tokens"),
        ("student.api_key=sk-1", "student.api_key: unknown key"),
        ("train.epochs=9", "train: shapes the training of a local student"),
        ("evaluate.use_gpu=true", "use_gpu: a student of kind openai-ft answers at its provider"),
        ("student.dialect=azure", "base_url"),
    ],
)
def test_a_problem_is_named_by_its_key(override, problem):
    overrides = [override, "student.base_url=null"] if "dialect" in override else [override]
    with pytest.raises(RecipeError, match=r"^r") as caught:
        parse_recipe("r.yaml", HOSTED, overrides)
    assert problem in str(caught.value)


def test_a_local_student_s_unknown_key_is_still_told_its_neighbour():
    with pytest.raises(RecipeError, match=r"student\.base_modle: unknown key\. Did you mean 'base_model'\?"):
        load_recipe("demo", ["student.base_modle=x"])


def test_the_student_stands_in_the_teacher_s_place_under_its_own_limits_and_no_budget_of_the_teacher():
    recipe = as_teacher(parse_recipe("r.yaml", HOSTED), "ft:small:1")
    model = recipe.teacher.model
    assert (model.kind, model.name, model.base_url, model.leave_out) == (
        "openai",
        "ft:small:1",
        "http://127.0.0.1:1/v1",
        ("seed",),
    )
    assert (recipe.teacher.methods, recipe.teacher.limits.max_steps) == (("react",), 4)
    assert recipe.generate.budget.max_calls is None


def test_another_address_price_or_key_makes_no_other_rows_but_another_base_does():
    recipe, moved = (
        parse_recipe("r.yaml", HOSTED, overrides)
        for overrides in ([], ["student.base_url=http://h/v1", "student.n_epochs=9", "student.api_key_env=K"])
    )
    assert student_inputs(recipe, "base") == student_inputs(moved, "base")
    other = parse_recipe("r.yaml", HOSTED, ["student.name=large"])
    assert student_inputs(recipe, "base") != student_inputs(other, "base")


def test_a_model_of_another_base_is_not_taken_for_the_recipe_s(tmp_path):
    recipe = parse_recipe("r.yaml", HOSTED, [f"output_dir={tmp_path}"])
    hosted_home(recipe).write_json("model.json", {"model": "ft:small:1", "base_model": "small"})
    assert hosted_model(recipe, "finetuned") == "ft:small:1"
    other = parse_recipe("r.yaml", HOSTED, [f"output_dir={tmp_path}", "student.name=large"])
    with pytest.raises(InputError, match=r"ft:small:1 was trained of small, the recipe's student\.name is large"):
        hosted_model(other, "finetuned")


def test_who_is_about_to_train_at_openai_itself_is_told_when_it_closes_and_then_refused():
    recipe = parse_recipe("r.yaml", HOSTED, ["student.base_url=null", "student.name=gpt-4.1-mini"])
    said = checked_text(recipe, date(2026, 11, 26))
    assert said.startswith("training: gpt-4.1-mini at api.openai.com, 3 epochs; no GPU here\n")
    assert "takes no jobs from anybody from 2027-01-06 on" in said.splitlines()[-1]
    with pytest.raises(InputError, match="takes no jobs from anybody"):
        checked_text(recipe, date(2027, 1, 6))


def test_the_recipe_of_the_docs_is_one():
    text = (Path(__file__).parents[2] / "docs" / "hosted-training.md").read_text()
    recipe = parse_recipe("docs", text.split("```yaml\n")[1].split("```")[0])
    assert (recipe.student.name, recipe.student.max_cost_usd) == ("gpt-4.1-mini-2025-04-14", 20)


def test_what_needs_the_other_kind_says_so(tmp_path):
    recipe = parse_recipe("r.yaml", HOSTED, [f"output_dir={tmp_path}"])
    with pytest.raises(InputError, match=r"student.kind openai-ft: this needs a local student"):
        local_student(recipe)
    with pytest.raises(InputError, match="Run `fireact train` first"):
        hosted_model(recipe, "finetuned")
    with pytest.raises(InputError, match="this recipe trains a local student"):
        job_settings(load_recipe("demo"))
