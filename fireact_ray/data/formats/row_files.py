"""A path in, the files out whose rows are meant: itself, or those of a folder, where they can only be meant together.

A folder is a run folder, what `fireact export` wrote, what `datasets` saved to disk, or holds files of one kind and one
split.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from fireact_ray.core.errors import InputError
from fireact_ray.core.json_text import NotJson, parse
from fireact_ray.core.storage.artifacts import EXPORTED
from fireact_ray.core.storage.source import kind_of, names_in, read_text, within

_PACKED = r"(?:\.(?:gz|gzip|zst|zstd|bz2))?$"
_KINDS = {kind: re.compile(rf"\.{kind}{_PACKED}", re.IGNORECASE) for kind in ("parquet", "arrow", "jsonl", "json")}
_ALIASES = re.compile(rf"\.(ndjson|jsonlines){_PACKED}", re.IGNORECASE)
_ABOUT = re.compile(r"(?:dataset_infos?|dataset_dict|state|manifest|inputs|rejections.*|progress)\.json")
_SPLITS = {"train", "training", "test", "dev", "val", "valid", "validation", "eval"}


def row_files(path: str) -> list[str]:
    """Raises InputError where nothing is there, or where a folder does not say which of its files are meant."""
    found = kind_of(path)
    if found is None:
        raise InputError(f"{path}: cannot be read (No such file or directory). Give a file or folder of rows.")
    return [path] if found == "file" else _of_folder(path, names_in(path))


def _of_folder(folder: str, names: Sequence[str]) -> list[str]:
    if "trajectories/" in names:
        return row_files(within(folder, "trajectories"))
    if "dataset_dict.json" in names:
        splits = [name.rstrip("/") for name in names if name.endswith("/")]
        raise InputError(f"{folder}: holds the splits {_listed(splits)}. Name one, as in {within(folder, splits[0])}.")
    if "state.json" in names:
        return [within(folder, name) for name in _saved(folder)]
    if EXPORTED in names:
        return [within(folder, name) for name in _only(folder, _exported(folder, names))]
    return [within(folder, name) for name in _only_kind(folder, names)]


def _saved(folder: str) -> list[str]:
    """What `datasets` saved, as its state says."""
    state = _about(folder, "state.json")
    if state.get("_indices_data_files") or state.get("_indices_files"):
        raise InputError(f"{folder}: its rows are picked by an index. Save it after `flatten_indices()`.")
    try:
        return [str(file["filename"]) for file in state["_data_files"]]
    except (KeyError, TypeError):
        raise InputError(f"{folder}: state.json names no files. Save it anew, or give its files one by one.") from None


def _exported(folder: str, names: Sequence[str]) -> list[str]:
    written = _about(folder, EXPORTED)
    return [name for name in names if name in written and _kind(name) is not None and not _ABOUT.fullmatch(name)]


def _only(folder: str, names: Sequence[str]) -> Sequence[str]:
    if len(names) != 1:
        raise InputError(f"{folder}: holds {_listed(names)}. Name one of them.")
    return names


def _only_kind(folder: str, names: Sequence[str]) -> Sequence[str]:
    meant = [name for name in names if _kind(name) is not None and not _ABOUT.fullmatch(name)]
    kinds = sorted({str(_kind(name)) for name in meant})
    if not meant:
        raise InputError(
            f"{folder}: no run folder with trajectories, and no files of rows in it; it holds {_listed(names)}. "
            "Give a folder of Parquet, Arrow, JSON or JSON lines files, or one of them."
        )
    if len(kinds) > 1:
        raise InputError(f"{folder}: holds files of several kinds ({', '.join(kinds)}). Name the one that is meant.")
    if len({word for name in meant for word in re.split(r"[^a-z]+", name.lower()) if word in _SPLITS}) > 1:
        raise InputError(f"{folder}: holds files of several splits ({_listed(meant)}). Name the one that is meant.")
    return meant


def _kind(name: str) -> str | None:
    if _ALIASES.search(name):
        return "jsonl"
    return next((kind for kind, pattern in _KINDS.items() if pattern.search(name)), None)


def _about(folder: str, name: str) -> dict[str, Any]:
    try:
        found = parse(read_text(within(folder, name)))
    except NotJson as error:
        raise InputError(f"{within(folder, name)}: no JSON: {error}. Give the files of rows one by one.") from None
    return found if isinstance(found, dict) else {}


def _listed(names: Sequence[str]) -> str:
    return (", ".join(names[:8]) + (" ..." if len(names) > 8 else "")) or "nothing"
