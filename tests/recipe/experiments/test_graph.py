import pytest

from fireact_ray.core.errors import InputError
from fireact_ray.recipe.experiments.asking import asked_of
from fireact_ray.recipe.experiments.config import ExperimentConfig
from fireact_ray.recipe.experiments.expansion import expand
from fireact_ray.recipe.experiments.graph import graph_of
from fireact_ray.recipe.loader import load_recipe, parse_recipe

BASE, STUDENT = {"evaluate": {"systems": ["base"]}}, {"evaluate": {"systems": ["finetuned"]}}


def demo(*overrides):
    return load_recipe("demo", overrides)


def graph(recipe=None, name="x", **definition):
    experiment = ExperimentConfig.model_validate({"name": name, "question": "?", **definition})
    cells = expand(experiment, [recipe or demo()])
    return graph_of(cells, "/runs/demo/experiments", name), cells


def kinds(found):
    return [str(task.kind) for task in found.tasks.values()]


def test_a_prompted_cell_needs_no_training_and_a_student_all_of_it():
    assert kinds(graph(cells={"a": BASE})[0]) == ["evaluate"]
    assert kinds(graph(cells={"a": STUDENT})[0]) == ["generate", "convert", "train", "evaluate"]


def test_each_task_stands_behind_those_that_it_needs():
    found, _ = graph(axes={"convert.n": [100, 200]}, all_cells=STUDENT, cells={"base": BASE})
    seen: set[str] = set()
    for task in found.tasks.values():
        assert seen.issuperset(task.needs)
        seen.add(task.id)
    assert kinds(found).count("generate") == 1 and kinds(found).count("train") == 2


def test_a_cell_reads_the_shared_generation_and_evaluates_the_shared_student():
    found, _ = graph(cells={"a": STUDENT})
    generate, convert, train, evaluate = found.tasks.values()
    assert convert.recipe.convert.sources == (generate.recipe.run_dir,)
    assert (convert.recipe.run_dir, train.needs) == (train.recipe.run_dir, (convert.id,))
    assert evaluate.recipe.run_dir == "/runs/demo/experiments/x/cells/a"
    (system,) = evaluate.recipe.evaluate.systems
    assert (system.kind, system.name, system.path) == ("model", train.recipe.name, f"{train.recipe.run_dir}/model")


def test_experiments_share_a_student_and_nothing_of_one_when_anything_that_shapes_it_differs():
    def student(*overrides, **definition):
        found, _ = graph(demo(*overrides), **{"cells": {"a": STUDENT}, **definition})
        return next(task.recipe.name for task in found.tasks.values() if task.kind == "train")

    same = student()
    assert student(name="other") == same
    for free in ("train.micro_batch_tokens=512", "evaluate.n_questions=7", "generate.concurrency=9", "output_dir=/x"):
        assert student(free) == same
    shaping = (
        "seed=1",
        "train.epochs=4",
        "convert.n=9",
        "generate.n_questions=9",
        "teacher.reflect_every=2",
        "train.tuning=lora",
    )
    others = [student(each) for each in (*shaping, "student.base_model=other/model", "evaluate.split=dev")]
    assert len({same, *others}) == len(others) + 1


def test_generations_by_other_methods_lie_in_folders_that_tell_they_share_rows():
    def generation(*methods):
        found, _ = graph(demo(f"teacher.methods=[{', '.join(methods)}]"), cells={"a": STUDENT})
        return next(iter(found.tasks.values())).recipe.name

    one, two = generation("react"), generation("cot", "react")
    assert (one.partition("-by-")[0], one.partition("-by-")[2]) == (two.partition("-by-")[0], "react")
    assert two.endswith("-by-cot-react")


def test_a_round_learns_from_the_student_before_it_on_training_questions():
    found, _ = graph(cells={"r0": STUDENT, "r1": {**STUDENT, "generations": [{}, {"student_of": "r0"}]}})
    own = next(task for task in found.tasks.values() if "generations/student-" in task.id)
    assert (own.recipe.evaluate.split, own.recipe.evaluate.n_questions) == ("train", 2400)
    assert [str(system.kind) for system in own.recipe.evaluate.systems] == ["model"]
    last = [task for task in found.tasks.values() if task.kind == "convert"][-1]
    assert last.recipe.convert.sources[1] == f"{own.recipe.run_dir}/evaluations/{own.recipe.evaluate.systems[0].name}"
    assert own.id in last.needs


def test_several_generations_are_made_and_read_together():
    other = {"task": {"name": "jsonl", "path": "/q"}}
    found, _ = graph(cells={"a": {**STUDENT, "generations": [{}, other]}})
    assert kinds(found) == ["generate", "generate", "convert", "train", "evaluate"]
    assert len(found.tasks[next(iter(t for t in found.tasks if t.startswith("convert")))].recipe.convert.sources) == 2


def test_what_is_asked_is_found_by_cell_system_and_condition():
    found, (cell,) = graph(
        cells={
            "a": {"evaluate": {"systems": ["base", "finetuned"], "conditions": [{"kind": "none", "probability": 0.5}]}}
        }
    )
    asked = list(asked_of(cell, found.tasks[found.by_cell["a"]].recipe))
    assert [(one.system, one.condition, one.strength, one.trained) for one in asked] == [
        ("base", "normal", 0.0, False),
        ("base", "none-0.5", 0.5, False),
        ("finetuned", "normal", 0.0, True),
        ("finetuned", "none-0.5", 0.5, True),
    ]
    student = next(task.recipe.name for task in found.tasks.values() if task.kind == "train")
    assert asked[3].folder.uri == f"/runs/demo/experiments/x/cells/a/evaluations/{student}@none-0.5"
    assert {one.model for one in asked} == {"nano"}


def test_a_student_that_a_provider_trains_is_refused():
    recipe = parse_recipe("r", "name: r\nstudent: {kind: openai-ft, name: gpt}\n")
    with pytest.raises(InputError, match="an experiment trains local students"):
        graph(recipe, cells={"a": STUDENT})
