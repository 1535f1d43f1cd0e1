"""A folder and the inputs that shape its content: what was made with others is never mixed in."""

from __future__ import annotations

import json
from typing import Any

from fireact_ray.errors import InputError
from fireact_ray.store import Folder


def claim(folder: Folder, inputs: dict[str, Any], *, is_empty: bool) -> None:
    """Bind a folder to the inputs that shape its content, before anything else is written there.

    `is_empty`: no work was landed yet, so that a run that failed at once can be put right and started again.
    Raises InputError naming every field that differs from the inputs of an earlier run.
    """
    if is_empty or not folder.exists("inputs.json"):
        folder.write_json("inputs.json", inputs)
        return
    old, new = _flatten(folder.read_json("inputs.json")), _flatten(json.loads(json.dumps(inputs)))
    changed = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    if changed:
        fields = "; ".join(f"{key}: was {old.get(key)!r}, now {new.get(key)!r}" for key in changed)
        raise InputError(
            f"{folder.uri} was made with other settings. {fields}. "
            "Use another recipe name, restore the settings, or delete the folder."
        )


def _flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one of dotted keys."""
    if not isinstance(value, dict):
        return {prefix: value}
    return {
        key: leaf
        for name, child in value.items()
        for key, leaf in _flatten(child, f"{prefix}.{name}" if prefix else str(name)).items()
    }
