import json

import pytest

torch = pytest.importorskip("torch")

from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

from fireact_ray.core.paths import NANO_DIR  # noqa: E402
from fireact_ray.demo.nano import pretrain  # noqa: E402

pytestmark = pytest.mark.torch


def test_the_shipped_model_loads_and_copies() -> None:
    model = AutoModelForCausalLM.from_pretrained(NANO_DIR, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(NANO_DIR)
    assert model.config.max_position_embeddings == 2048
    assert (model.config.pad_token_id, model.config.eos_token_id) == (
        tokenizer.pad_token_id,
        tokenizer.eos_token_id,
    )
    assert model.config.bos_token_id == tokenizer.eos_token_id
    assert model.get_input_embeddings().num_embeddings == len(tokenizer)
    assert pretrain.copy_accuracy(model, tokenizer, n_lists=4) > 0.9


def test_the_shipped_model_is_small_and_says_how_it_was_made() -> None:
    assert (NANO_DIR / "model.safetensors").stat().st_size < 3_000_000
    assert sum(file.stat().st_size for file in NANO_DIR.iterdir()) < 3_300_000
    for run in json.loads((NANO_DIR / "card.json").read_text(encoding="utf-8")):
        assert run["command"].startswith("python -m fireact_ray.nano.pretrain")  # its name then
        assert {"tokens", "seed", "loss", "date"} <= set(run)


def test_pretraining_leaves_a_folder_that_loads(tmp_path: "pytest.TempPathFactory") -> None:
    pretrain.pretrain(minutes=0.02, out=tmp_path, save_every=1000)
    assert AutoModelForCausalLM.from_pretrained(tmp_path).num_parameters() > 1_000_000
    assert AutoTokenizer.from_pretrained(tmp_path).eos_token == "<eos>"
