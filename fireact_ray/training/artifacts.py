"""The trained model as a folder: adapter or full weights, tokenizer, and `fireact.json`, their card.

A model is only worth anything with the renderer that made its training ids, so its name and fingerprint are
kept here for whoever serves it. A plain base model has no `fireact.json`; it loads too, as nobody's
student.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import peft
import torch

from fireact_ray.core.errors import DataError, InputError
from fireact_ray.core.paths import NANO
from fireact_ray.core.storage.artifacts import MODEL_CARD
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.types import SCHEMA_VERSION
from fireact_ray.training.base import base_fingerprint, find_base
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.data import TokenDataset
from fireact_ray.training.files import whole_folder
from fireact_ray.training.model import load_base

_TOKENIZER_PARTS = (
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
)


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """`tuning` is "base", and the renderer None, where the folder is a base model not trained here."""

    model: Any  # in eval mode; with `tuning` "lora" a PeftModel, unless it was merged
    folder: Path
    tuning: str
    renderer: str | None = None
    renderer_fingerprint: str | None = None
    card: dict[str, Any] = field(default_factory=dict)


def write_model(
    folder: Path,
    model: Any,
    trained: dict[str, torch.Tensor],
    config: TrainConfig,
    dataset: TokenDataset,
    *,
    steps: int,
    final_loss: float,
) -> None:
    """Write the model folder whole: adapter (LoRA) or full weights, tokenizer files, `fireact.json`.

    `trained`: weights by the names of the model's parameters, whatever the model itself still holds of them.
    """
    base = find_base(config.base_model)
    is_folder = config.base_model != NANO and Path(config.base_model).expanduser().is_dir()
    card = {
        "schema_version": SCHEMA_VERSION,
        # Absolute, as the folder is read from other working directories; a name means the same everywhere.
        "base_model": str(base.resolve()) if is_folder else config.base_model,
        "base_fingerprint": base_fingerprint(base),
        "tuning": config.tuning,
        "renderer": dataset.renderer,
        "renderer_fingerprint": dataset.renderer_fingerprint,
        "dataset_fingerprint": dataset.fingerprint,
        "n_examples": len(dataset.rows),
        "config": config.to_dict(),
        "steps": steps,
        "final_loss": final_loss,
    }
    with whole_folder(folder) as temporary:
        # save_embedding_layers="auto" would ask the hub about the base model
        options = {"save_embedding_layers": False} if config.tuning == "lora" else {}
        model.save_pretrained(temporary, state_dict=trained, **options)
        for name in _TOKENIZER_PARTS:
            if (base / name).is_file():
                shutil.copyfile(base / name, temporary / name)
        (temporary / MODEL_CARD).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def load_trained(
    folder: str | Path,
    *,
    base_model: str | None = None,
    merge: bool = False,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
) -> TrainedModel:
    """Load a trained model, or a plain base model, for inference.

    An adapter is attached to its base unmerged; `merge` folds it into the weights, which is faster and
    equal up to rounding. `base_model` overrides where the base is, for folders that have moved. Raises
    InputError for an incomplete folder or a missing base, DataError when the base is another than the one
    trained on.
    """
    folder = Path(folder)
    if not (folder / MODEL_CARD).is_file():
        if (folder / "adapter_config.json").is_file():
            raise InputError(f"{folder} holds an adapter without {MODEL_CARD}: its renderer is unknown. Train it here.")
        return TrainedModel(load_base(folder, dtype).to(device).eval(), folder, "base")
    card = Folder(str(folder)).read_json(MODEL_CARD)
    if card["tuning"] == "lora":
        model = _with_adapter(folder, find_base(base_model or card["base_model"]), card, dtype)
        model = model.merge_and_unload() if merge else model
    else:
        model = load_base(folder, dtype)
    return TrainedModel(
        model.to(device).eval(), folder, card["tuning"], card["renderer"], card["renderer_fingerprint"], card
    )


def _with_adapter(folder: Path, base: Path, card: dict[str, Any], dtype: torch.dtype) -> Any:
    if base_fingerprint(base) != card["base_fingerprint"]:
        raise DataError(f"{folder} was trained on another base than {base}. Name its own base, or train it again.")
    return peft.PeftModel.from_pretrained(load_base(base, dtype), folder, is_trainable=False)
