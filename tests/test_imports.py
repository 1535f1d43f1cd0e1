"""What may be loaded by importing what, seen in fresh interpreters."""

import subprocess
import sys

import pytest

HEAVY = ("ray", "torch", "transformers", "peft", "deepspeed")


def loaded_by(statement: str) -> list[str]:
    code = f"{statement}\nimport sys\nprint(*[m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600)
    return done.stdout.split()


@pytest.mark.e2e
@pytest.mark.parametrize(
    "statement",
    [
        "import fireact_ray",
        "from fireact_ray import Agent, Question, Recipe, Trajectory, load_recipe, student_agent, ask",
        "import fireact_ray.cli.app",
        "import fireact_ray.rollouts.journal, fireact_ray.data.selection.selection, fireact_ray.evaluation.report",
        "import fireact_ray.cli.lint",
        "import fireact_ray.demo.teacher.server",
        "import fireact_ray.serving.app",
    ],
)
def test_the_pure_rooms_load_neither_ray_nor_torch(statement):
    assert loaded_by(statement) == []


@pytest.mark.torch
def test_the_training_room_loads_neither_ray_nor_what_only_adapters_and_zero3_need():
    loaded = loaded_by("import fireact_ray.training.loop, fireact_ray.agent.models.engines.torch_engine")
    assert loaded == ["torch", "transformers"]


@pytest.mark.ray
def test_who_drives_a_training_loads_no_model_library():
    assert loaded_by("import fireact_ray.stages.train") == ["ray"]


@pytest.mark.ray
def test_who_serves_agents_and_who_cuts_their_texts_load_no_torch():
    """transformers, as far as it cuts texts."""
    load = "from fireact_ray.core.paths import NANO_DIR; from fireact_ray.rendering.tokenizer import HubTokenizer"
    cut = "HubTokenizer.load(str(NANO_DIR)).encode('a text')"
    assert loaded_by(f"import fireact_ray.stages.application; {load}; {cut}") == ["ray", "transformers"]


def test_an_unknown_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Agnet'"):
        import fireact_ray

        _ = fireact_ray.Agnet
