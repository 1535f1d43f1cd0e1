"""What a cell evaluates, as tables know it: whose weights, after how many optimizer steps."""

import json

from fireact_ray.recipe.experiments.asking import asked_of
from fireact_ray.recipe.experiments.config import ExperimentConfig
from fireact_ray.recipe.experiments.expansion import expand
from fireact_ray.recipe.experiments.graph import graph_of
from fireact_ray.recipe.loader import load_recipe

ENDPOINT = {"kind": "endpoint", "name": "live", "base_url": "http://127.0.0.1:1/v1", "model": "fireact/other"}
SYSTEMS = [
    *("base", "finetuned", "teacher", ENDPOINT),
    {"kind": "model", "name": "mine", "path": "/runs/mine/model"},
    {"kind": "run", "name": "old", "path": "/runs/old"},
]


def test_each_system_is_of_its_own_weights_and_a_student_says_the_steps_it_took(tmp_path):
    experiment = ExperimentConfig.model_validate(
        {"name": "x", "question": "?", "cells": {"all": {"evaluate": {"systems": SYSTEMS}}}}
    )
    cells = expand(experiment, [load_recipe("demo", [f"output_dir={tmp_path}"])])
    graph = graph_of(cells, f"{tmp_path}/demo/experiments", "x")
    evaluation = graph.tasks[graph.by_cell["all"]].recipe

    def found():
        return {one.system: (one.model, one.trained, one.steps) for one in asked_of(cells[0], evaluation)}

    assert found() == {
        "base": ("nano", False, None),
        "finetuned": ("nano", True, None),
        "teacher": ("scripted-teacher", False, None),
        "live": ("fireact/other", False, None),
        "mine": ("mine", False, None),
        "old": ("old", False, None),
    }
    train = next(task for task in graph.tasks.values() if task.kind == "train")
    model = tmp_path / train.recipe.run_dir / "model"
    model.mkdir(parents=True)
    (model / "fireact.json").write_text(json.dumps({"steps": 189}))
    assert found()["finetuned"] == ("nano", True, 189)
    assert found()["base"][2] is None
