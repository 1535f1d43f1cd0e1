"""A base model as a folder: where it is, whether it is complete, and which one it is. Needs no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from fireact_ray.core.errors import DataError, InputError
from fireact_ray.core.json_text import parse
from fireact_ray.core.paths import NANO, NANO_DIR, last_name
from fireact_ray.core.storage.fetched import fetched

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json")
_HUB_FILES = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]  # no *.bin: pickles are never loaded
_SAMPLE_BYTES = 1 << 20


def find_base(base_model: str | Path) -> Path:
    """The local folder of a base model: `nano` is our own; one in a bucket and a hub id are fetched first, or found in
    the cache.

    Raises InputError when there is no such folder or id, when config, tokenizer or safetensors weights are missing from
    it, or when its weights are quantised.
    """
    base_model = fetched(str(base_model))
    folder = NANO_DIR if base_model == NANO else Path(base_model).expanduser()
    if not folder.is_dir():
        # `nano` by its place in a package that is gone, as older models remember it
        folder = NANO_DIR if last_name(base_model) == NANO else _download(base_model)
    files = sorted(file.name for file in folder.iterdir())
    missing = []
    if "config.json" not in files:
        missing.append("config.json")
    if not set(TOKENIZER_FILES) & set(files):
        missing.append(f"a tokenizer ({' or '.join(TOKENIZER_FILES)})")
    if not weight_files(folder):
        missing.append("safetensors weights (*.safetensors)")
    if missing:
        move = "Name a folder that holds all of them."
        if "adapter_config.json" in files:
            move = "It holds an adapter: name the base of that one."
        raise InputError(
            f"{folder} is no complete base model. Missing: {', '.join(missing)}. "
            f"Found: {', '.join(files) or 'nothing'}. {move}"
        )
    if "quantization_config" in read_config(str(folder)):
        raise InputError(
            f"{folder} is stored quantised; whole weights are loaded here. Name the original model "
            "(train.tuning qlora quantises it while it trains)."
        )
    return folder


def read_config(base_model: str) -> dict[str, Any]:
    """The config.json of a base model; of a hub id nothing else is downloaded. Raises InputError where it cannot be
    had or read."""
    base_model = fetched(base_model, without=(".safetensors",))
    folder = NANO_DIR if base_model == NANO else Path(base_model).expanduser()
    file = folder / "config.json" if folder.is_dir() else _from_hub(base_model, "config.json")
    try:
        config = parse(file.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: cannot be read as JSON: {error}") from error
    if not isinstance(config, dict):
        raise InputError(f"{file}: expected an object, found {type(config).__name__}.")
    return config


def hub_revision(folder: Path) -> str | None:
    """The commit that a folder of the hub's cache holds; None for any other folder."""
    return folder.name if folder.parent.name == "snapshots" else None


def base_fingerprint(folder: Path) -> str:
    """Tells bases apart without reading all of them: config, and size, start and end of each weight file."""
    digest = hashlib.sha256((folder / "config.json").read_bytes())
    for file in weight_files(folder):
        size = file.stat().st_size
        digest.update(f"{file.name} {size}".encode())
        with file.open("rb") as stream:
            digest.update(stream.read(_SAMPLE_BYTES))
            stream.seek(max(0, size - _SAMPLE_BYTES))
            digest.update(stream.read(_SAMPLE_BYTES))
    return digest.hexdigest()[:16]


def base_of_adapter(folder: Path, card: Mapping[str, Any], base_model: str | None = None) -> Path:
    """The base that a trained adapter belongs to, by its model card. `base_model`: where it is, for one that has moved.

    Raises InputError where it is not there, DataError where it is another one than the adapter was trained on.
    """
    base = find_base(base_model or card["base_model"])
    if base_fingerprint(base) != card["base_fingerprint"]:
        raise DataError(f"{folder} was trained on another base than {base}. Name its own base, or train it again.")
    return base


def weight_files(folder: Path) -> list[Path]:
    """A model's safetensors files, an adapter's left out."""
    return sorted(file for file in folder.glob("*.safetensors") if not file.name.startswith("adapter_"))


def _download(name: str) -> Path:
    return _asked(name, lambda: snapshot_download(name, allow_patterns=_HUB_FILES))


def _from_hub(name: str, file: str) -> Path:
    return _asked(name, lambda: hf_hub_download(name, file))


def _asked(name: str, ask: Callable[[], str]) -> Path:
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise InputError(f"No folder {name}. Name the folder of a base model, or a hub id such as 'org/model'.")
    try:
        return Path(ask())
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"'{name}' is no folder, and the hub did not give a model of that name: {reason}") from error
