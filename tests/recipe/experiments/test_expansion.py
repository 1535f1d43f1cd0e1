import pytest

from fireact_ray.core.errors import RecipeError
from fireact_ray.recipe.experiments.config import ExperimentConfig
from fireact_ray.recipe.experiments.expansion import StudentOf, expand
from fireact_ray.recipe.experiments.loading import (
    load_experiment,
    paper_numbers,
    shipped_experiments,
    split_overrides,
    unread_changes,
)
from fireact_ray.recipe.loader import load_recipe, parse_recipe
from fireact_ray.tasks.fetching.sources import source


def of(**definition):
    return ExperimentConfig.model_validate({"name": "x", "question": "?", **definition})


def demo(*overrides):
    return load_recipe("demo", ["train.global_batch_size=16", "train.epochs=3", *overrides])


def test_cells_are_the_named_ones_and_the_product_of_the_axes():
    cells = expand(
        of(
            cells={"base": {}},
            axes={"convert.n": [100, 200], "tuning": {"lora": {"train": {"tuning": "lora"}}, "full": {}}},
        ),
        [demo()],
    )
    assert [cell.name for cell in cells] == ["base", "n-100_lora", "n-100_full", "n-200_lora", "n-200_full"]
    assert cells[1].axes == {"n": "100", "tuning": "lora"}
    assert (cells[1].recipe.convert.n, cells[1].recipe.train.tuning) == (100, "lora")
    assert (cells[0].recipe.convert.n, cells[0].recipe.train.tuning) == (None, "full")


def test_without_axes_and_cells_there_is_one():
    assert [cell.name for cell in expand(of(), [demo()])] == ["only"]


def test_several_recipes_are_an_axis():
    cells = expand(of(cells={"base": {}}), [demo(), demo("name=other")])
    assert [(cell.name, cell.axes["recipe"]) for cell in cells] == [("demo_base", "demo"), ("other_base", "other")]


def test_another_task_is_asked_and_not_learnt():
    here, there = expand(
        of(evaluate_on={"here": {}, "there": {"task": {"name": "jsonl", "path": "/q"}, "evaluate": {"split": "dev"}}}),
        [demo()],
    )
    assert (there.recipe.task.name, there.recipe.evaluate.split) == ("almanac", "test")
    assert (there.evaluated.task.name, there.evaluated.evaluate.split) == ("jsonl", "dev")
    assert here.axes == {"test": "here"}


def test_the_recipes_own_task_is_called_by_its_name_whatever_it_is():
    own, there = expand(of(evaluate_on={"own": {}, "there": {"evaluate": {"split": "dev"}}}), [demo()])
    assert (own.name, own.axes, own.evaluated.task.name) == ("almanac", {"test": "almanac"}, "almanac")
    assert there.axes == {"test": "there"}


def test_a_student_learns_no_question_that_it_is_asked_in_any_task_that_it_learns_from():
    recipe = load_recipe("hotpotqa")
    multitask = {cell.name: cell.recipe.convert for cell in expand(load_experiment("multitask", recipe), [recipe])}
    kept_out = {
        name: [(one.task, one.split) for one in convert.decontaminate_against] for name, convert in multitask.items()
    }
    assert kept_out["one-task_strategyqa"] == []
    for test in ("hotpotqa", "strategyqa", "mmlu", "bamboogle"):
        assert kept_out[f"three-tasks_{test}"] == [("strategyqa", "dev"), ("mmlu", "test")]
    world = demo()
    assert not any(
        cell.recipe.convert.decontaminate_against for cell in expand(load_experiment("generalisation", world), [world])
    )


def test_what_an_experiment_of_parts_would_not_heed_is_refused():
    with pytest.raises(RecipeError, match=r"axes: this experiment is its parts \(prompting.* by its own name"):
        load_experiment("paper", demo(), ["axes.seed=[0, 1]"])


def test_changes_of_a_recipe_that_nothing_reads_are_said():
    first, other = demo(), demo("name=other", "experiments={data-scalin: {}}")
    whole = load_experiment("cost", first)
    assert unread_changes(whole, [first]) == []
    typo, second = unread_changes(whole, [first, other])
    assert typo.startswith("recipe other: `experiments` names data-scalin,") and "'data-scaling'?" in typo
    assert second == "recipe other: its `experiments` are not read, those of demo, the first recipe, are"


def test_a_fragment_of_another_kind_replaces_a_section_whole():
    other = {"teacher": {"model": {"kind": "openai", "name": "gpt", "api_key_env": None}}}
    (cell,) = expand(of(cells={"a": other}), [demo()])
    assert cell.recipe.teacher.model.name == "gpt"
    assert cell.recipe.teacher.methods == ("react", "reflexion")


def test_seeds_are_of_the_student_and_trajectories_are_shared():
    cells = expand(of(axes={"seed": [1, 2]}), [demo("seed=7")])
    assert [cell.recipe.seed for cell in cells] == [1, 2]
    assert [source.seed for cell in cells for source in cell.generations] == [7, 7]


def test_fewer_rows_train_for_more_epochs_so_that_steps_are_equal():
    cells = expand(of(axes={"convert.n": [100, 200, 500, 1000]}, equal_steps=True), [demo()])
    assert [cell.recipe.train.epochs for cell in cells] == [27, 15, 6, 3]
    assert [-(-cell.recipe.convert.n // 16) * cell.recipe.train.epochs for cell in cells] == [189, 195, 192, 189]
    assert cells[0].evaluated.train.epochs == 27


def test_a_student_of_another_cell_is_named_before_it_is_learnt_from():
    base, after = expand(of(cells={"round 0": {}, "round 1": {"generations": [{"student_of": "round 0"}]}}), [demo()])
    assert after.generations == (StudentOf("round-0"),)
    assert base.generations[0].run_dir == demo().run_dir
    with pytest.raises(RecipeError, match=r"'later', which is no cell before it\. Before it: none"):
        expand(of(cells={"a": {"generations": [{"student_of": "later"}]}, "later": {}}), [demo()])


def test_names_that_fall_together_are_refused():
    with pytest.raises(RecipeError, match="several cells are called a-b"):
        expand(of(cells={"a b": {}, "a-b": {}}), [demo()])


def test_a_fragment_that_makes_no_recipe_is_refused_by_its_cell():
    with pytest.raises(RecipeError, match=r"experiment x, cell a: train\.tunning: unknown key"):
        expand(of(cells={"a": {"train": {"tunning": "lora"}}}), [demo()])


@pytest.mark.parametrize("name", [name for name in shipped_experiments() if name != "paper"])
def test_every_shipped_experiment_is_a_grid_of_recipes(name):
    recipe = load_recipe("hotpotqa")
    assert expand(load_experiment(name, recipe), [recipe])


@pytest.mark.parametrize("name", [name for name in shipped_experiments() if name != "paper"])
def test_every_shipped_experiment_asks_for_splits_that_its_tasks_have(name):
    recipe = load_recipe("hotpotqa")
    for cell in expand(load_experiment(name, recipe), [recipe]):
        learnt = [one for one in cell.generations if not isinstance(one, StudentOf)]
        asked = [(one.task.name, one.generate.split) for one in learnt]
        for task, split in [*asked, (cell.evaluated.task.name, cell.evaluated.evaluate.split)]:
            assert split in source(task).splits, f"{cell.name} asks for the {split} questions of {task}"


def test_the_paper_is_all_the_others():
    parts = load_experiment("paper", load_recipe("hotpotqa")).parts
    assert sorted(parts) == [name for name in shipped_experiments() if name != "paper"]


def test_the_demo_asks_of_the_paper_what_one_almanac_can_answer():
    parts = load_experiment("paper", demo()).parts
    assert set(shipped_experiments()) - set(parts) == {"paper", "multitask"}
    cells = {part: [cell.name for cell in expand(load_experiment(part, demo()), [demo()])] for part in parts}
    assert cells["finetuning"] == ["base", "seed-0", "seed-1", "seed-2"]
    assert cells["generalisation"][:2] == ["base_test-world", "base_dev-world"]


def test_a_recipe_and_overrides_change_an_experiment_and_null_takes_out():
    recipe = parse_recipe(
        "r", "name: r\nexperiments: {generalisation: {evaluate_on: {bamboogle: null, dev: {evaluate: {split: dev}}}}}"
    )
    assert list(load_experiment("generalisation", recipe).evaluate_on) == ["own", "dev"]
    of_recipes, of_experiment = split_overrides(["train.epochs=2", "experiment.axes.convert.n=[5, 6]"])
    assert of_recipes == ["train.epochs=2"]
    assert load_experiment("data-scaling", recipe, of_experiment).axes == {"convert.n": [5, 6]}


def test_an_unknown_experiment_table_or_key_is_said(tmp_path):
    with pytest.raises(RecipeError, match=r"tables.*unknown table"):
        load_experiment("cost", demo(), ["tables=[cots]"])
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\nquestion: '?'\naxis: {}\n")
    with pytest.raises(RecipeError, match=r"mine.yaml: axis: unknown key. Did you mean 'axes'\?"):
        load_experiment(str(file), demo())


def test_the_papers_gains_are_differences_of_its_own_numbers():
    for row in paper_numbers()["finetuning"]:
        assert row["gain"] == pytest.approx(row["finetuned"] - row["prompted"])
        assert row["relative"] == pytest.approx(100 * row["gain"] / row["prompted"], abs=0.06)
