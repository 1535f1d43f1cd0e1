"""A folder and the inputs that shape its content: what was made with others is never mixed in.

Files, folders and models stand there by name and content (`named`), never by where they lie: a package, a corpus or a
job's copy of either may move.
"""

from __future__ import annotations

import json
from typing import Any

from fireact_ray.core.errors import InputError
from fireact_ray.core.json_text import parse
from fireact_ray.core.paths import last_name
from fireact_ray.core.storage.artifacts import INPUTS, read_inputs
from fireact_ray.core.storage.folder import Folder


def lock_inputs(
    folder: Folder, inputs: dict[str, Any], *, is_empty: bool, ignored: frozenset[str] = frozenset()
) -> None:
    """Bind a folder to the inputs that shape its content, before anything else is written there.

    `is_empty`: there is no result yet, so that a run that failed at once can be put right and started again.
    `ignored`: dotted fields that older versions remember though they shape nothing.
    Raises InputError naming every field that differs from the inputs of an earlier run.
    """
    if is_empty or not folder.exists(INPUTS):
        folder.write_json(INPUTS, inputs)
        return
    before, now = read_inputs(folder), parse(json.dumps(inputs))
    old, new = _flatten(before), _flatten(now)
    changed = sorted(key for key in (old.keys() | new.keys()) - ignored if not _agree(old.get(key), new.get(key)))
    if changed:
        fields = "; ".join(f"{key}: was {_shown(old.get(key))}, now {_shown(new.get(key))}" for key in changed)
        raise InputError(
            f"{folder.uri} was made with other settings. {fields}. "
            "Use another recipe name, restore the settings, or delete the folder."
        )
    if (
        old.keys() - ignored == new.keys() - ignored and old != new
    ):  # it held a path: from now on it holds the content's fingerprint
        folder.write_json(INPUTS, inputs)


def _agree(old: Any, new: Any) -> bool:
    """Folders of earlier versions hold a path, of which the last name is known."""
    if _is_named(new) and isinstance(old, str):
        return bool(last_name(old) == new["name"])
    if _is_named(new) and _is_named(old) and None not in (old["fingerprint"], new["fingerprint"]):
        return bool(old["fingerprint"] == new["fingerprint"])
    if _is_named(new) and _is_named(old):
        return bool(old["name"] == new["name"])
    return bool(old == new)


def _is_named(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"name", "fingerprint"}


def _shown(value: Any) -> str:
    if not _is_named(value):
        return repr(value)
    return repr(value["name"]) + (f" (content {value['fingerprint'][:12]})" if value["fingerprint"] else "")


def _flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one of dotted keys."""
    if not isinstance(value, dict) or _is_named(value):
        return {prefix: value}
    return {
        key: leaf
        for name, child in value.items()
        for key, leaf in _flatten(child, f"{prefix}.{name}" if prefix else str(name)).items()
    }
