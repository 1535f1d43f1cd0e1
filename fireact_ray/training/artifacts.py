"""The trained model as a folder: adapter or full weights, tokenizer, and `fireact.json`, from which README.md is made.

A model is only worth anything with the renderer that made its training ids, so its name and fingerprint are
kept here for whoever serves it. A plain base model has no `fireact.json`; it loads too, as nobody's
student.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from fireact_ray.core.errors import InputError
from fireact_ray.core.paths import NANO
from fireact_ray.core.storage.artifacts import MODEL_CARD
from fireact_ray.core.storage.fetched import fetched
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.types import SCHEMA_VERSION
from fireact_ray.training.base import base_fingerprint, base_of_adapter, find_base, hub_revision
from fireact_ray.training.config import ADAPTED, TrainConfig
from fireact_ray.training.files import whole_folder
from fireact_ray.training.mapped.loading import TokenDataset
from fireact_ray.training.model import load_base
from fireact_ray.training.model_card import write_readme

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
SHARD_SIZE = "5GB"  # of a file of weights; transformers' own 50 GB are more than some filesystems and uploads take


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """`tuning` is "base", and the renderer None, where the folder is a base model not trained here."""

    model: Any  # in eval mode; with `tuning` "lora" or "qlora" a PeftModel, unless it was merged
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
    n_examples: int,
    steps: int,
    losses: Mapping[str, float],
) -> None:
    """Write the model folder whole: adapter (LoRA, QLoRA) or full weights in safetensors, tokenizer files, card.

    `trained`: weights by the names of the model's parameters, whatever the model itself still holds of them.
    `n_examples`: rows of `dataset` that were trained on. `losses`: `final_loss`, and what is known of held-out rows.
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
        "n_examples": n_examples,
        "config": config.to_dict(),
        "steps": steps,
        **losses,
    }
    if (revision := hub_revision(base)) is not None:
        card["base_revision"] = revision
    with whole_folder(folder) as temporary:
        # save_embedding_layers="auto" would ask the hub about the base model
        options = {"save_embedding_layers": False} if config.adapts else {"max_shard_size": SHARD_SIZE}
        model.save_pretrained(temporary, state_dict=trained, **options)
        copy_tokenizer(base, temporary)
        (temporary / MODEL_CARD).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
        write_readme(temporary)


def copy_tokenizer(source: Path, target: Path) -> None:
    for name in _TOKENIZER_PARTS:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)


def load_trained(
    folder: str | Path,
    *,
    base_model: str | None = None,
    merge: bool = False,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
) -> TrainedModel:
    """Load a trained model, or a plain base model, for inference.

    An adapter is attached to its base unmerged, at full width also where it was trained on four bits; `merge` folds it
    into the weights, which is faster and equal up to rounding. `base_model` overrides where the base is, for folders
    that have moved. Raises InputError for an incomplete folder or a missing base, DataError when the base is another
    than the one trained on.
    """
    folder = Path(fetched(str(folder)))
    if not (folder / MODEL_CARD).is_file():
        if (folder / "adapter_config.json").is_file():
            raise InputError(f"{folder} holds an adapter without {MODEL_CARD}: its renderer is unknown. Train it here.")
        return TrainedModel(load_base(folder, dtype).to(device).eval(), folder, "base")
    card = Folder(str(folder)).read_json(MODEL_CARD)
    if card["tuning"] in ADAPTED:
        from fireact_ray.training.adapters import load_adapter, merged  # PEFT takes seconds to import

        model = load_adapter(folder, base_of_adapter(folder, card, base_model), dtype)
        model = merged(model) if merge else model
    else:
        model = load_base(folder, dtype)
    return TrainedModel(
        model.to(device).eval(), folder, card["tuning"], card["renderer"], card["renderer_fingerprint"], card
    )
