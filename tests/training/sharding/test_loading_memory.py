"""A model of about a GB, read by two workers: sharded, none of them ever holds it."""

import json
import struct
import subprocess
import sys
from math import prod
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig

pytestmark = [pytest.mark.torch, pytest.mark.slow]

LAYERS, HIDDEN, INNER, VOCABULARY = 5, 2048, 5504, 8000
MIB = 1 << 20


@pytest.fixture
def base_of_a_gb(tmp_path: Path) -> Path:
    """All its weights are 0, and the file is a hole behind its header: it takes no space on the disk."""
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=HIDDEN,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=16,
        num_key_value_heads=16,
        tie_word_embeddings=False,
    )
    config.save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with torch.device("meta"):
        shapes = {name: list(w.shape) for name, w in AutoModelForCausalLM.from_config(config).named_parameters()}
    header, end = {}, 0
    for name, shape in shapes.items():
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + 4 * prod(shape)]}
        end += 4 * prod(shape)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
    return tmp_path


def test_a_worker_holds_its_shard_and_one_slice(base_of_a_gb: Path):
    command = [sys.executable, str(Path(__file__).with_name("loading_memory.py")), str(base_of_a_gb)]
    over = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert over.returncode == 0, over.stderr
    peaks = json.loads(over.stdout.splitlines()[-1])
    whole = (base_of_a_gb / "model.safetensors").stat().st_size / MIB
    largest = 4 * max(VOCABULARY, INNER) * HIDDEN / MIB
    assert 1000 < whole < 1200
    assert all(peak > whole for peak in peaks["ddp"])
    assert all(peak < whole / 2 + largest + 32 for peak in peaks["fsdp2"])
