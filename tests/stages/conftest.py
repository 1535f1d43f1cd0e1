"""One local Ray for all tests of the stages, and a teacher whose calls can be counted."""

import re
from pathlib import Path

import pytest

from fireact_ray.demo.teacher.brain import BrainConfig
from fireact_ray.demo.teacher.server import ScriptedTeacher
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.recipe.schema import Recipe


@pytest.fixture
def teacher():
    with ScriptedTeacher(BrainConfig(seed=0, error_rate=0.1)) as running:
        yield running


def small_recipe(output_dir, teacher=None, *overrides: str) -> Recipe:
    """The demo at a size for tests, with a running teacher in place of one of its own."""
    settings = [
        f"output_dir={output_dir}",
        "generate={split: train, n_questions: 24, workers: 1, concurrency: 16}",
        "train.epochs=1",
        "train.checkpoint_every_steps=2",
        "evaluate={split: test, n_questions: 8, systems: [base, finetuned]}",
        "serve.systems=[finetuned]",
    ]
    if teacher is not None:
        model = f"{{kind: openai, name: {teacher.model_name}, base_url: '{teacher.base_url}', api_key_env: null}}"
        settings.append(f"teacher.model={model}")
    return load_recipe("demo", [*settings, *overrides])


def reported(recipe: Recipe) -> list[str]:
    """The checkpoints that Ray Train knows of, oldest first."""
    snapshot = Path(recipe.run_dir) / "checkpoints" / "checkpoint_manager_snapshot.json"
    return sorted(set(re.findall(r"checkpoint_2[\d_.-]+", snapshot.read_text()))) if snapshot.exists() else []
