"""The files by which the parts of a run folder know each other: their names, and how they are read."""

from __future__ import annotations

from typing import Any

from fireact_ray.core.errors import DataError
from fireact_ray.core.storage.folder import Folder

MANIFEST = "manifest.json"  # of trajectories and of a dataset: written last, counts and fingerprints
MODEL_CARD = "fireact.json"  # of a trained model: its base, renderer and tuning; written last, too
INPUTS = "inputs.json"  # the settings that shape a folder's content
EXPORTED = "export.json"  # of an exported folder: the files that we wrote there, by their content


def read_dataset_manifest(folder: Folder, *needed: str) -> dict[str, Any]:
    """What a dataset is. Raises DataError where it is unfinished, or its manifest damaged or without a needed value."""
    if not folder.exists(MANIFEST):
        raise DataError(f"{folder.uri}: no {MANIFEST}, so this dataset is unfinished. Convert the trajectories again.")
    manifest = _mapping(folder, MANIFEST)
    if missing := [key for key in needed if not manifest.get(key)]:
        raise DataError(f"{folder.uri}/{MANIFEST}: no value for {missing}. Convert the trajectories again.")
    return manifest


def read_model_card(folder: Folder) -> dict[str, Any]:
    """What a model was trained from and with; empty where it was not trained here. Raises DataError where damaged."""
    return _mapping(folder, MODEL_CARD) if folder.exists(MODEL_CARD) else {}


def read_inputs(folder: Folder) -> dict[str, Any]:
    """The settings that made a folder's content; empty where it has none. Raises DataError where damaged."""
    return _mapping(folder, INPUTS) if folder.exists(INPUTS) else {}


def _mapping(folder: Folder, name: str) -> dict[str, Any]:
    found = folder.read_json(name)
    if not isinstance(found, dict):
        raise DataError(f"{folder.uri}/{name}: expected a mapping, found {type(found).__name__}. Restore it.")
    return found
