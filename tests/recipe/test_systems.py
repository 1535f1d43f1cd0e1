"""The `evaluate` section: names as ever, entries by kind, conditions at levels, seeds; and what is planned of them."""

from pathlib import Path

import pytest
import yaml

from fireact_ray.core.errors import RecipeError
from fireact_ray.recipe.loader import load_recipe, parse_recipe, to_yaml
from fireact_ray.recipe.systems import EndpointSystem, ModelSystem, RunSystem, StudentSystem, TeacherSystem
from fireact_ray.recipe.trials import trials_of

EVERY_KIND = """
name: r
teacher: {sampling: {temperature: 0.7, seed: 5}}
evaluate:
  systems:
    - base
    - finetuned
    - teacher
    - {kind: teacher, method: cot}
    - {name: gpt, kind: teacher, method: reflexion, model: {kind: openai, name: gpt-4.1}, sampling: {temperature: 1.0}}
    - {kind: base, method: io}
    - {name: other, kind: model, path: /runs/other}
    - {name: served, kind: endpoint, base_url: "http://127.0.0.1:8000/v1/", model: fireact/x, api_key_env: KEY}
    - {name: before, kind: run, path: /runs/old/evaluations/teacher, method: react}
  conditions: [normal, none, random, {kind: distractor, probability: [0.25, 0.75]}]
  seeds: [0, 1]
"""

ENDPOINT = "kind: endpoint, name: e, model: m"


def evaluating(section: str):
    return load_recipe("demo", [f"evaluate={section}"])


def test_names_are_stored_as_ever_and_so_is_a_section_without_conditions_and_seeds():
    stored = yaml.safe_load(to_yaml(evaluating("{systems: [base, teacher]}")))["evaluate"]
    assert stored == {
        "split": "test",
        "n_questions": None,
        "systems": ["base", "teacher"],
        "max_retries": 3,
        "workers": 1,
        "concurrency": 64,
        "use_gpu": False,
    }


def test_every_kind_is_read_and_survives_being_written_out():
    recipe = parse_recipe("r", EVERY_KIND)
    kinds = [type(entry) for entry in recipe.evaluate.systems]
    assert kinds == [
        *(StudentSystem, StudentSystem, TeacherSystem, TeacherSystem, TeacherSystem, StudentSystem),
        *(ModelSystem, EndpointSystem, RunSystem),
    ]
    assert [entry.name for entry in recipe.evaluate.systems] == [
        *("base", "finetuned", "teacher", "teacher-cot", "gpt", "base-io", "other", "served", "before"),
    ]
    written = to_yaml(recipe)
    assert yaml.safe_load(written)["evaluate"]["systems"][:3] == ["base", "finetuned", "teacher"]
    assert parse_recipe("r", written) == recipe


def test_conditions_are_named_by_kind_and_level_and_the_normal_one_is_always_there():
    assert [one.name for one in parse_recipe("r", EVERY_KIND).evaluate.conditions] == [
        *("none-0.5", "random-0.5", "distractor-0.25", "distractor-0.75"),
    ]
    assert evaluating("{conditions: [normal]}").evaluate.conditions == ()
    mine = evaluating("{conditions: [{kind: none, probability: 1.0}, {kind: error, name: broken}]}").evaluate.conditions
    assert [one.name for one in mine] == ["none-1", "broken"]


def test_each_system_is_tried_where_conditions_and_seeds_can_touch_it():
    labels = [trial.label for trial in trials_of(parse_recipe("r", EVERY_KIND))]
    of = lambda name: [label for label in labels if label.split("@")[0].split("~")[0] == name]  # noqa: E731
    conditions = ["", "@none-0.5", "@random-0.5", "@distractor-0.25", "@distractor-0.75"]
    assert of("base") == [f"base{condition}" for condition in conditions]  # a greedy student has one seed
    assert of("teacher") == [f"teacher{condition}~{seed}" for condition in conditions for seed in (0, 1)]
    assert of("teacher-cot") == ["teacher-cot~0", "teacher-cot~1"]  # it does not search
    assert of("base-io") == ["base-io"]
    assert of("served") == ["served"]
    assert of("before") == ["before"]
    assert len(set(labels)) == len(labels)


def test_without_seeds_a_system_that_samples_is_tried_once_under_the_recipe_s():
    trials = trials_of(parse_recipe("r", EVERY_KIND, ["evaluate.seeds=[]", "evaluate.conditions=[]"]))
    assert [trial.label for trial in trials][:5] == ["base", "finetuned", "teacher", "teacher-cot", "gpt"]


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        (f"{{{section}}}", problem)
        for section, problem in [
            (
                "systems: [bse]",
                "evaluate.systems.0: unknown system; known: base, finetuned, teacher; found 'bse'. Did you mean",
            ),
            ("systems: []", "evaluate.systems: name at least one"),
            ("systems: [{kind: modle, name: x, path: y}]", "Did you mean 'model'?"),
            ("systems: [{kind: model, path: y}]", "evaluate.systems.0.name: required, but missing"),
            ("systems: [{kind: teacher, method: cto}]", "evaluate.systems.0.method: unknown method"),
            ("systems: [{kind: teacher, model: {kind: openai, name: m}}]", "evaluate.systems.0.name: required"),
            ("systems: [base, {kind: base, method: cot, name: base}]", "systems: named more than once: base"),
            ("systems: [{kind: base, method: cot, name: base}]", "'base' means base by ReAct: give this entry another"),
            ("systems: [{kind: run, path: x, name: 'a@b'}]", "evaluate.systems.0.name: string should match pattern"),
            (f"systems: [{{{ENDPOINT}, base_url: 'http://u:p@h/v1'}}]", "holds no user, password"),
            (f"systems: [{{{ENDPOINT}, base_url: 'http://h', api_key: sk-1}}]", "api_key: unknown key"),
            (f"systems: [{{{ENDPOINT}, base_url: 'http://h', extra_headers: {{X-Key: abc}}}}]", "may be a secret"),
            ("systems: [{kind: teacher, name: t, quota: {}}]", "leave it out"),
            ("conditions: [nothing]", "evaluate.conditions.0.kind: expected one of none, random"),
            ("conditions: [none, {kind: none, probability: 0.5}]", "conditions: named more than once: none-0.5"),
            ("conditions: [{kind: none, probability: [0.5, 2]}]", "evaluate.conditions.1.probability: input should be"),
            ("seeds: [1, 1]", "seeds: found more than once: 1"),
        ]
    ],
)
def test_a_problem_is_named_by_its_key(section, problem):
    with pytest.raises(RecipeError) as caught:
        evaluating(section)
    assert problem in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_the_recipe_of_the_docs_is_one():
    text = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text()
    recipe = parse_recipe("docs", text.split("```yaml\n")[1].split("```")[0])
    assert {entry.kind for entry in recipe.evaluate.systems} == {
        *("base", "finetuned", "teacher", "model", "endpoint", "run"),
    }
