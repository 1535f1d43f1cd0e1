"""Weights read slice by slice into an empty model, against what transformers loads."""

import json
import logging
from pathlib import Path
from shutil import copytree

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from fireact_ray.core.errors import InputError
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.model import load_base, prepare
from fireact_ray.training.sharding.loading import empty_base, fill, prepare_empty

pytestmark = pytest.mark.torch
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def in_parts(base_dir: Path, tmp_path_factory) -> Path:
    """The same model, its head untied, in several files named by an index, beside another copy of it in one."""
    folder = copytree(base_dir, tmp_path_factory.mktemp("parts") / "base")
    (folder / "model.safetensors").rename(folder / "consolidated.safetensors")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": False}))
    model = AutoModelForCausalLM.from_pretrained(base_dir, tie_word_embeddings=False)
    torch.nn.init.normal_(model.lm_head.weight)
    model.save_pretrained(folder, max_shard_size="20KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 2
    return folder


@pytest.mark.parametrize("tied", [True, False], ids=["tied, one file", "untied, in parts"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_filled_model_is_the_one_that_transformers_loads(base_dir: Path, in_parts: Path, tied: bool, dtype):
    folder = base_dir if tied else in_parts
    model, expected = empty_base(folder, dtype), load_base(folder, dtype)
    assert {weight.device.type for weight in model.parameters()} == {"meta"}
    fill(dict(model.named_modules()), folder, CPU)
    pairs = zip(model.state_dict().items(), expected.state_dict().items(), strict=True)
    assert all(ours == theirs and a.dtype == b.dtype and a.equal(b) for (ours, a), (theirs, b) in pairs)
    buffers = dict(model.named_buffers())
    assert all(buffers[name].equal(buffer) for name, buffer in expected.named_buffers())
    assert "model.rotary_emb.inv_freq" in buffers  # which no file holds
    assert (model.lm_head.weight is model.model.embed_tokens.weight) == tied
    assert model.config.to_dict() == expected.config.to_dict()
    assert model.config._attn_implementation == expected.config._attn_implementation
    assert model.generation_config.to_dict() == expected.generation_config.to_dict()


def test_adapters_begin_with_the_values_that_they_always_have(base_dir: Path):
    config = TrainConfig(base_model=str(base_dir))
    torch.manual_seed(3)
    expected = prepare(load_base(base_dir), config)
    torch.manual_seed(3)
    prepared = prepare_empty(empty_base(base_dir, torch.float32), config)
    ours, theirs = dict(prepared.model.named_parameters()), dict(expected.model.named_parameters())
    assert ours.keys() == theirs.keys()
    adapters = {name for name, weight in theirs.items() if weight.requires_grad}
    assert {name for name, weight in ours.items() if weight.device.type == "cpu" and weight.requires_grad} == adapters
    assert all(ours[name].equal(theirs[name]) for name in adapters)
    assert prepared.total_parameters == expected.total_parameters


def _without(weights, name):
    del weights[name]


def _of_other_shape(weights, name):
    weights[name] = weights[name][:-1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without, r"the weights lack \['model.norm.weight'\]. Fetch the model again"),
        (_of_other_shape, r"model.norm.weight is of shape \[23\], by config.json it is \[24\]"),
    ],
)
def test_weights_that_do_not_fit_are_refused(base_dir: Path, tmp_path: Path, change, message: str):
    folder = copytree(base_dir, tmp_path / "base")
    weights = load_file(folder / "model.safetensors")
    change(weights, "model.norm.weight")
    save_file({name: weight.clone() for name, weight in weights.items()}, folder / "model.safetensors")
    with pytest.raises(InputError, match=message):
        fill(dict(empty_base(folder, torch.float32).named_modules()), folder, CPU)


def test_a_missing_part_is_named(in_parts: Path, tmp_path: Path):
    folder = copytree(in_parts, tmp_path / "base")
    next(folder.glob("model-00002-*")).unlink()
    with pytest.raises(InputError, match=r"model.safetensors.index.json names .*model-00002-.* is missing"):
        fill(dict(empty_base(folder, torch.float32).named_modules()), folder, CPU)


def test_tensors_that_nothing_takes_are_counted(base_dir: Path, tmp_path: Path, caplog):
    folder = copytree(base_dir, tmp_path / "base")
    weights = load_file(folder / "model.safetensors")
    odd = {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(3), "value_head.weight": torch.ones(2)}
    save_file(weights | odd, folder / "model.safetensors")
    with caplog.at_level(logging.WARNING, logger="fireact_ray"):
        fill(dict(empty_base(folder, torch.float32).named_modules()), folder, CPU)
    assert "2 tensors belong to nothing in the model and are left out" in caplog.text


def test_another_kind_of_model_is_refused(base_dir: Path, tmp_path: Path):
    folder = copytree(base_dir, tmp_path / "base")
    (folder / "config.json").write_text('{"model_type": "made up"}')
    with pytest.raises(InputError, match="cannot be loaded as a causal language model"):
        empty_base(folder, torch.float32)
