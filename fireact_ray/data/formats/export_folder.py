"""What `fireact export` may write into a folder that others use, too: nothing that it has not written itself.

export.json holds the digest of every file that an export wrote. A file that has another one is somebody's: a README of
a project, or a card that was edited since.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from fireact_ray.core.errors import DataError, InputError
from fireact_ray.core.storage.artifacts import EXPORTED
from fireact_ray.core.storage.folder import Folder

INFO = "dataset_info.json"  # in which LLaMA-Factory looks for a dataset by its name


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def written_before(folder: Folder) -> dict[str, str]:
    """The files that earlier exports wrote there, by their digests. Raises InputError for another's export.json."""
    if not folder.exists(EXPORTED):
        return {}
    try:
        found = folder.read_json(EXPORTED)
    except DataError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(digest, str) for digest in found.values()):
        raise InputError(f"{folder.uri}/{EXPORTED} is not one of ours. Give another folder.")
    return found


def demand_ours(folder: Folder, files: Mapping[str, bytes], written: Mapping[str, str]) -> None:
    """Raises InputError naming the files that would be overwritten though they are not as an export wrote them."""
    there = {name: digest_of(folder.read(name)) for name in files if folder.exists(name)}
    foreign = [name for name, digest in there.items() if digest not in (written.get(name), digest_of(files[name]))]
    if foreign:
        raise InputError(
            f"{folder.uri}: {' and '.join(foreign)} there: not written by an export, or edited since. It is kept: give "
            "another folder, or move it away."
        )


def with_entry(folder: Folder, name: str, entry: Mapping[str, Any], written: Mapping[str, str]) -> bytes:
    """dataset_info.json with our dataset, and with every other that it describes.

    Raises InputError for a file of that name that is not LLaMA-Factory's, or that describes another dataset by our
    name.
    """
    known = _described(folder)
    before = known.get(name, entry)
    if before != entry and before.get("file_name") not in written:
        raise InputError(
            f"{folder.uri}/{INFO} describes another dataset '{name}' ({before.get('file_name')}). Give another folder, "
            "or rename that entry."
        )
    return (json.dumps({**known, name: entry}, indent=2, ensure_ascii=False) + "\n").encode()


def _described(folder: Folder) -> dict[str, dict[str, Any]]:
    if not folder.exists(INFO):
        return {}
    try:
        found = folder.read_json(INFO)
    except DataError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(entry, dict) for entry in found.values()):
        raise InputError(f"{folder.uri}/{INFO} is not LLaMA-Factory's. Give another folder, or move it away.")
    return found
