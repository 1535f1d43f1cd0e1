"""An adapter and its base in, a folder of whole weights out, which any server loads as it loads a base model."""

from __future__ import annotations

import json
import logging
import shutil
from collections import Counter
from pathlib import Path

import torch
from safetensors import safe_open

from fireact_ray.core.errors import InputError
from fireact_ray.core.storage.artifacts import MODEL_CARD, read_model_card
from fireact_ray.core.storage.buckets import is_object_uri
from fireact_ray.core.storage.fetched import fetched
from fireact_ray.core.storage.folder import Folder
from fireact_ray.training.adapters import merged
from fireact_ray.training.artifacts import SHARD_SIZE, copy_tokenizer, load_trained
from fireact_ray.training.base import find_base, weight_files
from fireact_ray.training.files import whole_folder
from fireact_ray.training.model_card import LOSS_CURVE, write_readme

log = logging.getLogger(__name__)

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
_STORED = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def find_adapter(path: str | Path) -> Path:
    """The model folder of a run, or `path` itself. Raises InputError where no adapter of ours is there."""
    given = Path(_fetched_model(str(path))).expanduser()
    folder = next((each for each in (given, given / "model") if (each / MODEL_CARD).is_file()), None)
    if folder is None:
        raise _without_model(str(given))
    tuning = read_model_card(Folder(str(folder))).get("tuning")
    if not (folder / "adapter_config.json").is_file():
        raise InputError(
            f"{folder} holds whole weights (tuning {tuning}), so there is nothing to merge. Use it as it is."
        )
    return folder


def dataset_beside(path: str) -> Folder:
    """The dataset of the run whose adapter `find_adapter` finds by this path."""
    if is_object_uri(path):
        return _stored_model(path).parent / "dataset"
    return Folder(str(find_adapter(path).parent / "dataset"))


def _fetched_model(place: str) -> str:
    """A bucket's model as a folder here; of a run its model alone."""
    if not is_object_uri(place):
        return place
    model = _stored_model(place)
    if not model.exists(MODEL_CARD):  # asked before anything is fetched
        raise _without_model(model.shown)
    return fetched(model.uri)


def _without_model(place: str) -> InputError:
    return InputError(f"{place}: neither a trained model nor a run with one (no {MODEL_CARD}). Name one of them.")


def _stored_model(place: str) -> Folder:
    model = Folder(place) / "model"
    return model if model.exists(MODEL_CARD) else Folder(place)


def merge_adapter(model: str | Path, out: str | Path, *, dtype: str | None = None) -> Path:
    """Write the adapter of a run or model folder, merged into its base, to the new folder `out`; returns that.

    The base is loaded at full width, however narrow it was while the adapter was trained (four bits for QLoRA), and
    takes as much of the host's memory as its files. `dtype`: fp32, fp16 or bf16; None: what the base is stored in.
    Raises InputError where there is nothing to merge or `out` is not empty, DataError where the base is another one.
    """
    if "://" in str(out):
        raise InputError(f"--out {out}: merged weights are written to a disk. Name a new folder of this machine.")
    folder, target = find_adapter(model), Path(out).expanduser()
    if dtype is not None and dtype not in DTYPES:
        raise InputError(f"--dtype {dtype} is not known; known: {', '.join(DTYPES)}.")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target} is not empty. Name a new folder.")
    card = read_model_card(Folder(str(folder)))
    base = find_base(card["base_model"])
    held = stored_dtype(base) if dtype is None else DTYPES[dtype]
    trained = load_trained(folder, dtype=held)
    whole = merged(trained.model)
    log.info("merged %s into %s, %s", folder, base, str(held).removeprefix("torch."))
    with whole_folder(target) as temporary:
        whole.save_pretrained(temporary, max_shard_size=SHARD_SIZE)
        copy_tokenizer(folder, temporary)
        now = {**card, "tuning": "merged", "merged_from": card["tuning"]}
        (temporary / MODEL_CARD).write_text(json.dumps(now, indent=2) + "\n", encoding="utf-8")
        if (folder / LOSS_CURVE).is_file():
            shutil.copyfile(folder / LOSS_CURVE, temporary / LOSS_CURVE)
        write_readme(temporary)
    return target


def stored_dtype(folder: Path) -> torch.dtype:
    """In which most of a model's numbers are stored. Raises InputError for any but fp32, fp16 and bf16."""
    sizes: Counter[str] = Counter()
    for file in weight_files(folder):
        with safe_open(file, framework="pt") as weights:
            for name in weights.keys():  # noqa: SIM118 (no mapping)
                found = weights.get_slice(name)
                sizes[found.get_dtype()] += torch.Size(found.get_shape()).numel()
    most = sizes.most_common(1)[0][0]
    if most not in _STORED:
        raise InputError(f"{folder} is stored as {most}; an adapter is merged into {', '.join(_STORED)}. Set --dtype.")
    return _STORED[most]
