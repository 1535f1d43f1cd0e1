"""Each shipped recipe for larger students takes a step through the real loop, at a width that a test can hold."""

import json
from pathlib import Path

import pytest
from model_configs import CONFIGS
from safetensors.torch import load_file

from fireact_ray.recipe.loader import load_recipe
from fireact_ray.training.artifacts import load_trained
from fireact_ray.training.config import TrainConfig, TrainSettings
from fireact_ray.training.loop import train

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def tiny_base(tmp_path_factory):
    """The model of a recipe with its own kind, ratio of heads and tied head, two layers of it, narrow."""
    from transformers import AutoConfig, AutoModelForCausalLM

    def make(name: str) -> Path:
        whole = CONFIGS[name]
        heads = {"num_attention_heads": 8, "head_dim": 8}
        heads["num_key_value_heads"] = (
            8 * whole.get("num_key_value_heads", whole["num_attention_heads"]) // whole["num_attention_heads"]
        )
        narrow = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "vocab_size": 64}
        special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1}
        kind = whole["model_type"]
        config = AutoConfig.for_model(**(whole | narrow | heads | special | {"model_type": kind}))
        folder = tmp_path_factory.mktemp(name)
        AutoModelForCausalLM.from_config(config).save_pretrained(folder)
        (folder / "tokenizer.json").write_text("{}")
        return folder

    return make


@pytest.mark.parametrize("tuning", ["lora", "full"])
@pytest.mark.parametrize("name", CONFIGS)
def test_a_recipe_takes_its_steps_at_tiny_width(name, tuning, tiny_base, write_dataset, counting_rows, tmp_path):
    recipe = load_recipe(name, [f"train.tuning={tuning}"])
    settings = recipe.train.model_dump(include=set(TrainSettings.model_fields))
    config = TrainConfig.from_dict(settings | {"base_model": str(tiny_base(name)), "epochs": 2})
    losses: list[float] = []
    data = write_dataset(tmp_path / "data", counting_rows(5))
    done = train(config, data, tmp_path / "model", on_log=lambda entry: losses.append(entry["loss"]))
    assert done.steps == 2
    assert len(losses) == 1
    read = load_trained(tmp_path / "model")
    assert read.tuning == tuning
    if tuning == "lora":
        adapter = load_file(tmp_path / "model" / "adapter_model.safetensors")
        assert {key.split(".")[-3] for key in adapter} == {"q_proj", "v_proj"}
        assert json.loads((tmp_path / "model" / "adapter_config.json").read_text())["r"] == 8
