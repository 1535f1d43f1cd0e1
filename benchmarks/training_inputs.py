"""What all contestants of benchmarks/training.py are given: a base model, our dataset, and the same rows for others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from fireact_ray.core.paths import NANO_DIR
from fireact_ray.data.dataset.tokenize_rows import tokenize
from fireact_ray.data.examples import conversation
from fireact_ray.data.formats.importers import import_trajectories
from fireact_ray.data.selection.config import ConvertConfig
from fireact_ray.data.selection.selection import dropped_by, lines
from fireact_ray.rendering import make_renderer
from fireact_ray.rendering.tokenizer import HubTokenizer

_LONGEST = 1024  # tokens of a row, so that one row fits every contestant's limits


def make_inputs(released: Path, scratch: Path, n_rows: int) -> dict[str, Any]:
    """`scratch`: gets base/, dataset/ and alpaca/, the last for trainers that read text. Returns what there is."""
    tokenizer = HubTokenizer.load(NANO_DIR)
    renderer = make_renderer("fireact-alpaca", tokenizer)
    keep = lines(ConvertConfig(decontaminate=None, max_length=_LONGEST))
    kept = [t for t in import_trajectories(released).trajectories if dropped_by(t, keep) is None]
    table = tokenize([t.trajectory_id for t in kept], [conversation(t) for t in kept], renderer)
    table = table.filter(pa.compute.less_equal(table["length"], _LONGEST)).slice(0, n_rows)
    (scratch / "dataset").mkdir()
    pq.write_table(table, scratch / "dataset" / "part-000.parquet")
    manifest = {"renderer": "fireact-alpaca", "renderer_fingerprint": renderer.fingerprint}
    (scratch / "dataset" / "manifest.json").write_text(json.dumps(manifest))
    _write_alpaca(table, tokenizer, scratch / "alpaca")
    n_parameters = _write_base(scratch / "base", tokenizer)
    lengths = table["length"].to_numpy()
    return {
        "rows": table.num_rows,
        "tokens": int(lengths.sum()),
        "median": float(sorted(lengths)[len(lengths) // 2]),
        "longest": int(lengths.max()),
        "parameters": n_parameters,
    }


def _write_base(folder: Path, tokenizer: HubTokenizer) -> int:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=1536,
        hidden_size=256,
        intermediate_size=688,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=2048,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=1,
    )
    model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    for file in NANO_DIR.glob("*token*"):
        (folder / file.name).write_bytes(file.read_bytes())
    return sum(p.numel() for p in model.parameters())


def _write_alpaca(table: pa.Table, tokenizer: HubTokenizer, folder: Path) -> None:
    """Prompt and reply of each row as text, split where its trained part begins: what a reader of text can be given."""
    folder.mkdir()
    rows = []
    for ids, mask in zip(table["input_ids"].to_pylist(), table["loss_mask"].to_pylist(), strict=True):
        start = mask.index(1)
        rows.append(
            {"instruction": tokenizer.decode(ids[:start]), "input": "", "output": tokenizer.decode(ids[start:])}
        )
    (folder / "rows.json").write_text(json.dumps(rows))
    about = {"rows": {"file_name": "rows.json"}}
    (folder / "dataset_info.json").write_text(json.dumps(about))
