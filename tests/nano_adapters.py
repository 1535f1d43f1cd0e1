"""Students of the nano as training leaves them, without the training: adapters of random weights."""

from __future__ import annotations

import json
from pathlib import Path

from fireact_ray.core.paths import NANO, NANO_DIR
from fireact_ray.rendering import make_renderer
from fireact_ray.rendering.tokenizer import HubTokenizer
from fireact_ray.training.artifacts import copy_tokenizer
from fireact_ray.training.base import base_fingerprint, find_base


def write_adapter(folder: Path, seed: int, rank: int = 4, base: str | Path = NANO) -> Path:
    """`base`: the nano, or a folder that holds a copy of it."""
    import peft
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    plain = AutoModelForCausalLM.from_pretrained(NANO_DIR, dtype=torch.float32)
    model = peft.get_peft_model(plain, peft.LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear"))
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.05)
    model.save_pretrained(folder, save_embedding_layers=False)
    copy_tokenizer(NANO_DIR, folder)
    written = {
        "base_model": str(base),
        "base_fingerprint": base_fingerprint(find_base(base)),
        "tuning": "lora",
        "renderer": "plain",
        "renderer_fingerprint": make_renderer("plain", HubTokenizer.load(str(NANO_DIR))).fingerprint,
        "seed": seed,
    }
    (folder / "fireact.json").write_text(json.dumps(written))
    return folder
