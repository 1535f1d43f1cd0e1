"""A base model of 12 thousand parameters and a dataset it can learn: the trained half counts."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fireact_ray.core.storage.rows import EXAMPLE_SCHEMA
from fireact_ray.training.config import TrainConfig

VOCABULARY = 32
Rows = list[tuple[str, list[int], list[int]]]


def _write_dataset(folder: Path, rows: Rows) -> Path:
    """Rows of trajectory_id, input_ids, loss_mask as the convert stage leaves them."""
    folder.mkdir(parents=True, exist_ok=True)
    columns = [list(column) for column in zip(*((*row, len(row[1])) for row in rows), strict=True)] or [[], [], [], []]
    pq.write_table(pa.table(columns, schema=EXAMPLE_SCHEMA), folder / "part-000.parquet")
    (folder / "manifest.json").write_text(json.dumps({"renderer": "plain", "renderer_fingerprint": "f00d"}))
    return folder


def _counting_rows(n: int, seed: int = 0) -> Rows:
    """A context of 4 to 12 random tokens, the token 1, and as many again that count on: 2, 3, 4 ..."""
    draw = random.Random(seed)
    rows = []
    for i in range(n):
        length = draw.randint(4, 12)
        ids = [draw.randrange(2, VOCABULARY) for _ in range(length)]
        rows.append((f"t{i:03d}", [*ids, 1, *range(2, length + 2)], [0] * (length + 1) + [1] * length))
    return rows


@pytest.fixture(scope="session")
def write_dataset() -> Callable[[Path, Rows], Path]:
    return _write_dataset


@pytest.fixture(scope="session")
def counting_rows() -> Callable[[int], Rows]:
    return _counting_rows


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def base_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        initializer_range=0.2,
        hidden_size=24,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=64,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=1,
    )
    folder = tmp_path_factory.mktemp("base")
    LlamaForCausalLM(config).save_pretrained(folder)
    (folder / "tokenizer.json").write_text('{"made": "up"}')
    (folder / "tokenizer_config.json").write_text("{}")
    return folder


@pytest.fixture(scope="session")
def dataset_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _write_dataset(tmp_path_factory.mktemp("dataset"), _counting_rows(22))


@pytest.fixture
def config(base_dir: Path) -> TrainConfig:
    """22 rows in steps of 8: the third step of an epoch has 6."""
    return TrainConfig(
        base_model=str(base_dir),
        tuning="full",
        precision="fp32",
        epochs=2,
        learning_rate=5e-3,
        global_batch_size=8,
        micro_batch_tokens=64,
        log_every_steps=1,
        lora_dropout=0.1,
    )
