import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from fireact_ray.core.errors import DataError, InputError
from fireact_ray.training import loop
from fireact_ray.training.artifacts import load_trained, write_model
from fireact_ray.training.loop import train

pytestmark = pytest.mark.torch

PROMPT = torch.tensor([[5, 6, 7, 8, 1]])


@pytest.fixture
def trained_in_memory(monkeypatch: pytest.MonkeyPatch) -> list:
    """Holds the model as it was when the loop wrote it."""
    models: list = []

    def keep(folder, model, *args, **kwargs):
        models.append(model.eval())
        write_model(folder, model, *args, **kwargs)

    monkeypatch.setattr(loop, "write_model", keep)
    return models


@pytest.mark.parametrize("tuning", ["full", "lora"])
def test_a_model_read_back_gives_the_logits_it_gave_in_memory(
    config, dataset_dir: Path, tmp_path: Path, trained_in_memory: list, tuning: str
):
    # Varlen attention answers batches with segments alone.
    train(config.changed(tuning=tuning, attention="sdpa"), dataset_dir, tmp_path / "model")
    read = load_trained(tmp_path / "model")
    assert (read.tuning, read.renderer, read.renderer_fingerprint) == (tuning, "plain", "f00d")
    with torch.inference_mode():
        expected, found = trained_in_memory[0](input_ids=PROMPT).logits, read.model(input_ids=PROMPT).logits
        base = load_trained(config.base_model).model(input_ids=PROMPT).logits
        merged = load_trained(tmp_path / "model", merge=True).model(input_ids=PROMPT).logits
    assert torch.equal(found, expected)
    assert not torch.allclose(found, base, atol=1e-2)
    torch.testing.assert_close(merged, expected, atol=1e-5, rtol=1e-5)


def test_lora_leaves_the_base_as_it_was(
    config, dataset_dir: Path, tmp_path: Path, trained_in_memory: list, base_dir: Path
):
    on_disk = (base_dir / "model.safetensors").read_bytes()
    train(config.changed(tuning="lora"), dataset_dir, tmp_path / "model")
    assert (base_dir / "model.safetensors").read_bytes() == on_disk
    before = load_file(base_dir / "model.safetensors")
    after = trained_in_memory[0].unload().state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert not (tmp_path / "model" / "model.safetensors").exists()


def test_the_card_says_what_was_trained_on_what(config, dataset_dir: Path, tmp_path: Path, base_dir: Path):
    result = train(config.changed(tuning="lora"), dataset_dir, tmp_path / "model")
    card = json.loads((tmp_path / "model" / "fireact.json").read_text())
    assert card["schema_version"] == 1
    assert card["base_model"] == str(base_dir.resolve())
    assert (card["tuning"], card["steps"], card["n_examples"]) == ("lora", 6, 22)
    assert card["final_loss"] == result.final_loss
    assert card["config"]["learning_rate"] == 5e-3
    assert (tmp_path / "model" / "tokenizer.json").read_text() == '{"made": "up"}'
    assert (tmp_path / "model" / "tokenizer_config.json").exists()
    readme = (tmp_path / "model" / "README.md").read_text()
    assert "library_name: peft" in readme
    assert f"6 steps; loss at the end {result.final_loss:.4f} nats" in readme


def test_a_plain_base_loads_as_nobodys_student(base_dir: Path):
    read = load_trained(base_dir)
    assert (read.tuning, read.renderer, read.renderer_fingerprint, read.card) == ("base", None, None, {})
    assert not read.model.training


def test_an_adapter_refuses_another_base(config, dataset_dir: Path, tmp_path: Path, base_dir: Path):
    train(config.changed(tuning="lora"), dataset_dir, tmp_path / "model")
    moved = Path(shutil.copytree(base_dir, tmp_path / "moved"))
    assert load_trained(tmp_path / "model", base_model=str(moved)).tuning == "lora"
    weights = load_file(moved / "model.safetensors")
    weights["model.norm.weight"] *= 1.01
    save_file(weights, moved / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DataError, match="was trained on another base"):
        load_trained(tmp_path / "model", base_model=str(moved))


def test_an_adapter_without_its_card_is_refused(config, dataset_dir: Path, tmp_path: Path):
    train(config.changed(tuning="lora"), dataset_dir, tmp_path / "model")
    (tmp_path / "model" / "fireact.json").unlink()
    with pytest.raises(InputError, match=r"holds an adapter without fireact\.json"):
        load_trained(tmp_path / "model")


def test_an_adapter_in_a_pickle_is_refused_and_never_run(config, dataset_dir: Path, tmp_path: Path):
    train(config.changed(tuning="lora"), dataset_dir, tmp_path / "model")
    weights = tmp_path / "model" / "adapter_model.safetensors"
    torch.save(load_file(weights), tmp_path / "model" / "adapter_model.bin")
    weights.unlink()
    with pytest.raises(InputError, match=r"model: no adapter_model\.safetensors\. Restore it, or train again"):
        load_trained(tmp_path / "model")


def test_a_model_folder_is_replaced_whole_or_not_at_all(config, dataset_dir: Path, tmp_path: Path):
    folder = tmp_path / "model"
    train(config.changed(tuning="lora"), dataset_dir, folder)
    train(config.changed(tuning="full"), dataset_dir, folder)
    assert not (folder / "adapter_config.json").exists()
    assert load_trained(folder).tuning == "full"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
