import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from fireact_ray.core.errors import InputError, TrainingError
from fireact_ray.training.base import base_fingerprint, find_base, hub_revision
from fireact_ray.training.model import load_base, prepare

pytestmark = pytest.mark.torch


def test_a_missing_folder_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=f"No folder {tmp_path}/none"):
        load_base(tmp_path / "none")


def test_a_hub_id_that_cannot_be_had_is_named():
    with pytest.raises(InputError, match="'no-such/model' is no folder, and the hub did not give"):
        load_base("no-such/model")


@pytest.mark.parametrize(
    ("absent", "message"),
    [
        (["config.json"], "Missing: config.json. Found: generation_config.json, model.safetensors"),
        (["tokenizer.json", "tokenizer_config.json"], "Missing: a tokenizer"),
        (["model.safetensors"], "Missing: safetensors weights"),
    ],
)
def test_an_incomplete_folder_is_refused_by_what_it_lacks(
    base_dir: Path, tmp_path: Path, absent: list[str], message: str
):
    folder = Path(shutil.copytree(base_dir, tmp_path / "base"))
    for name in absent:
        (folder / name).unlink()
    with pytest.raises(InputError, match=message):
        load_base(folder)


def test_pickled_weights_are_never_taken_for_weights(base_dir: Path, tmp_path: Path):
    folder = Path(shutil.copytree(base_dir, tmp_path / "base"))
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match="Missing: safetensors weights"):
        load_base(folder)


class Payload:
    """A pickle that leaves a file behind when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.bin", "pytorch_model-00001-of-00001.bin"])
def test_a_payload_in_a_bin_is_never_run(base_dir: Path, tmp_path: Path, name: str):
    folder = Path(shutil.copytree(base_dir, tmp_path / "base"))
    mark = tmp_path / "it ran"
    (folder / name).write_bytes(pickle.dumps({"model.norm.weight": Payload(mark)}))
    load_base(folder)  # what lies beside safetensors is not looked at
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match="Missing: safetensors weights"):
        load_base(folder)
    assert not mark.exists()
    pickle.loads((folder / name).read_bytes())  # noqa: S301 (so the mark can appear)
    assert mark.exists()


def test_weights_that_lack_a_tensor_are_refused_instead_of_filled_in_at_random(base_dir: Path, tmp_path: Path):
    folder = Path(shutil.copytree(base_dir, tmp_path / "base"))
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"the weights lack \['model.layers.1.mlp.up_proj.weight'\]"):
        load_base(folder)


def test_full_tuning_trains_every_parameter(base_dir: Path, config):
    prepared = prepare(load_base(base_dir), config)
    assert (prepared.trainable_parameters, prepared.total_parameters) == (12408, 12408)


def test_lora_trains_its_adapter_only(base_dir: Path, config):
    lora = config.changed(tuning="lora", lora_rank=2, lora_target_modules=("q_proj", "v_proj"))
    prepared = prepare(load_base(base_dir), lora)
    # 2 layers x 2 projections x (24 x 2 + 2 x 24)
    assert (prepared.trainable_parameters, prepared.total_parameters) == (384, 12408 + 384)


def test_one_unknown_target_module_among_known_ones_is_refused(base_dir: Path, config):
    lora = config.changed(tuning="lora", lora_target_modules=("q_proj", "qkv"))
    with pytest.raises(
        TrainingError, match=r"No module \['qkv'\] in this model. Its linear ones: down_proj, gate_proj"
    ):
        prepare(load_base(base_dir), lora)


@pytest.mark.parametrize("tuning", ["lora", "qlora"])
def test_a_head_that_is_the_embedding_gets_no_adapter(base_dir: Path, config, tuning: str):
    lora = config.changed(tuning=tuning, lora_target_modules=("q_proj", "lm_head"))
    with pytest.raises(TrainingError, match=r"^lm_head: embedding and head share their weights in this model, and an "):
        prepare(load_base(base_dir), lora)


def test_a_base_of_the_hubs_cache_tells_its_revision(base_dir: Path, tmp_path: Path):
    cached = tmp_path / "models--org--name" / "snapshots" / "6c284d14"
    shutil.copytree(base_dir, cached)
    assert hub_revision(find_base(cached)) == "6c284d14"
    assert hub_revision(find_base(base_dir)) is None


def test_the_fingerprint_tells_bases_apart(base_dir: Path, tmp_path: Path):
    folder = Path(shutil.copytree(base_dir, tmp_path / "base"))
    assert base_fingerprint(folder) == base_fingerprint(base_dir)
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"] += 0.01
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert base_fingerprint(folder) != base_fingerprint(base_dir)
