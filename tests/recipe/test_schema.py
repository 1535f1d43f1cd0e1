from pathlib import Path

import pytest
import yaml

from fireact_ray.core.errors import InputError, RecipeError
from fireact_ray.recipe.loader import load_recipe, shipped_recipes, to_yaml
from fireact_ray.tasks import load_questions


def write(folder: Path, text: str) -> str:
    path = folder / "r.yaml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_shipped_recipe_is_valid_and_survives_being_written_out(name, tmp_path):
    recipe = load_recipe(name)
    assert load_recipe(write(tmp_path, to_yaml(recipe))) == recipe


@pytest.mark.parametrize("name", ["demo", "nano"])
def test_what_is_learnt_on_the_almanac_has_all_its_kinds_of_questions(name):
    assert set(load_recipe(name).convert.kinds) == {
        question.kind for question in load_questions("almanac", None, "test")
    }


def test_all_problems_are_reported_at_once_each_with_key_value_and_what_is_allowed(tmp_path):
    path = write(
        tmp_path,
        """
        name: x
        task: {name: hotpot}
        teacher: {model: {kind: openia}, methods: [reakt]}
        train: {tunning: lora, epochs: 0}
        search: {backend: {kind: index, corups: x}}
        """,
    )
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    problems = str(caught.value).splitlines()
    assert len(problems) == 6
    assert problems[0] == (
        "r.yaml: task.name: unknown task; known: almanac, bamboogle, hotpotqa, jsonl, judge, mmlu, strategyqa; "
        "found 'hotpot'. Did you mean 'hotpotqa'?"
    )
    assert "r.yaml: search.backend.corups: unknown key. Did you mean 'corpus'? Known: corpus, kind." in problems
    assert "r.yaml: teacher.model: expected one of openai, scripted; found 'openia'. Did you mean 'openai'?" in problems
    assert "r.yaml: train.epochs: input should be greater than 0; found 0." in problems
    assert any(p.startswith("r.yaml: teacher.methods.0: unknown method") for p in problems)
    assert any(p.startswith("r.yaml: train.tunning: unknown key. Did you mean 'tuning'?") for p in problems)


def test_overrides_are_read_as_yaml_and_win_over_the_file():
    recipe = load_recipe("demo", ["train.epochs=7", "teacher.methods=[cot]", "train.lora.target_modules=null"])
    assert (recipe.train.epochs, recipe.teacher.methods) == (7, ("cot",))


@pytest.mark.parametrize("override", ["train.epochs", "=3", "name.x=1"])
def test_a_malformed_override_is_an_input_error(override):
    with pytest.raises(InputError, match="--set"):
        load_recipe("demo", [override])


def test_a_missing_recipe_names_the_nearest_shipped_one():
    with pytest.raises(InputError, match=r"no such file, and no shipped recipe of that name\. Did you mean 'demo'\?"):
        load_recipe("dem")


@pytest.mark.parametrize("text", ["a: [", "- 1", "\x00"])
def test_what_is_no_recipe_at_all_is_one_line(text, tmp_path):
    with pytest.raises(InputError) as caught:
        load_recipe(write(tmp_path, text))
    assert len(str(caught.value).splitlines()) == 1


def test_an_open_network_is_served_with_a_key_only():
    with pytest.raises(RecipeError, match=r"host '0\.0\.0\.0' is reachable by others: set serve\.api_key_env"):
        load_recipe("demo", ["serve.host=0.0.0.0"])


def test_sharding_is_for_several_workers():
    with pytest.raises(InputError, match="sharding fsdp2 spreads a model over several workers, and workers is 1"):
        load_recipe("demo", ["train.sharding=fsdp2", "train.workers=1"])


def test_a_task_that_reads_files_needs_its_path():
    with pytest.raises(RecipeError, match=r"task\.path: the task 'mmlu' reads a file or folder"):
        load_recipe("demo", ["task.name=mmlu"])


def test_a_recipe_cannot_hold_a_key():
    with pytest.raises(RecipeError, match=r"teacher\.model\.api_key: unknown key"):
        load_recipe("demo", ["teacher.model={kind: openai, name: m, api_key: sk-1}"])


def test_the_resolved_recipe_is_plain_yaml():
    assert yaml.safe_load(to_yaml(load_recipe("demo")))["search"]["backend"] == {
        "kind": "index",
        "corpus": "almanac",
    }


def test_an_agent_is_asked_by_checkpoints_that_there_are():
    assert load_recipe("demo", ["train.evaluate_agent={every_steps: 200}"]).train.evaluate_agent.n_questions == 50
    with pytest.raises(InputError, match=r"every_steps \(50\) has to be a multiple of checkpoint_every_steps \(100\)"):
        load_recipe("demo", ["train.evaluate_agent={every_steps: 50}", "train.checkpoint_every_steps=100"])
    with pytest.raises(InputError, match=r"a multiple of checkpoint_every_steps \(0\)"):
        load_recipe("demo", ["train.evaluate_agent={every_steps: 50}", "train.checkpoint_every_steps=0"])


def test_the_workers_of_a_training_are_a_number_or_a_range(tmp_path):
    one, some = load_recipe("demo", ["train.workers=3"]), load_recipe("demo", ["train.workers={min: 1, max: 4}"])
    assert (one.train.workers.min, one.train.workers.max) == (3, 3)
    assert (some.train.workers.min, some.train.workers.max) == (1, 4)
    assert load_recipe(write(tmp_path, to_yaml(some))) == some


def test_the_workers_of_generate_are_stored_as_they_are_given(tmp_path):
    one, some = load_recipe("demo", ["generate.workers=3"]), load_recipe("demo", ["generate.workers={min: 1, max: 4}"])
    assert [yaml.safe_load(to_yaml(recipe))["generate"]["workers"] for recipe in (one, some)] == [
        3,
        {"min": 1, "max": 4},
    ]
    assert load_recipe(write(tmp_path, to_yaml(some))) == some
    with pytest.raises(
        RecipeError, match=r"generate\.workers: expected a number from 1 on, or {min: 1, max: 4}; found 0"
    ):
        load_recipe("demo", ["generate.workers=0"])


@pytest.mark.parametrize(
    ("workers", "said"),
    [
        ("{min: 3, max: 2}", r"train\.workers: min \(3\) may be at most max \(2\)"),
        ("{min: 1}", r"train\.workers\.max: required, but missing"),
        ("0", r"train\.workers: expected a number from 1 on, or {min: 1, max: 4}; found 0"),
        ("many", r"train\.workers: expected a number from 1 on, or {min: 1, max: 4}; found 'many'"),
    ],
)
def test_workers_that_are_neither_are_refused(workers, said):
    with pytest.raises(RecipeError, match=said):
        load_recipe("demo", [f"train.workers={workers}"])
