import json
import shutil
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

from fireact_ray.core.paths import NANO_DIR  # noqa: E402
from fireact_ray.demo.nano import pretrain  # noqa: E402
from fireact_ray.demo.nano.architecture import nano_config, nano_model  # noqa: E402
from fireact_ray.demo.nano.text import open_tokenizer, read_shards, write_text  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two shards of a row each, with their tokenizer."""
    folder = tmp_path_factory.mktemp("text")
    write_text(folder, n_shards=2, seed=0, workers=1, rows=1)
    return folder


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
    assert sum(file.stat().st_size for file in NANO_DIR.iterdir()) < 3_500_000
    card = json.loads((NANO_DIR / "card.json").read_text(encoding="utf-8"))
    assert [command.split(" --")[0] for command in card["commands"]] == [
        "python -m fireact_ray.demo.nano.text",
        "python -m fireact_ray.demo.nano.pretrain",
    ]
    assert {"text", "tokens", "seed", "loss", "date", "device"} <= set(card)


def test_pretraining_leaves_a_folder_that_loads(text: Path, tmp_path: Path) -> None:
    tokenizer = open_tokenizer(text)
    model = nano_model(nano_config(len(tokenizer), tokenizer.eos_token_id, tokenizer.pad_token_id), seed=0)
    pretrain.pretrain(model, text, tmp_path / "model", minutes=0.02, step_tokens=1024, seed=0)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert loaded.num_parameters() == 1_577_984
    assert AutoTokenizer.from_pretrained(tmp_path / "model").eos_token == "<eos>"
    assert json.loads((tmp_path / "model" / "card.json").read_text(encoding="utf-8"))["steps"] > 0


def test_text_is_completed_where_shards_are_missing_and_each_depends_on_its_number_alone(
    text: Path, tmp_path: Path
) -> None:
    shutil.copytree(text, tmp_path, dirs_exist_ok=True)
    ids, weights = read_shards(tmp_path)
    assert ids.shape == weights.shape == (2, 1024)
    assert set(np.unique(weights)) == {0, 10, 100}  # first mentions, what is given, what is learned
    (tmp_path / "shard-0001.npz").unlink()
    write_text(tmp_path, n_shards=2, seed=0, workers=2, rows=1)
    assert (read_shards(tmp_path)[0] == ids).all()
    with pytest.raises(FileNotFoundError, match="no shards there"):
        read_shards(tmp_path / "none")
