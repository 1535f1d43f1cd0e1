"""Where things lie and what they are called: a place is absolute or a URL, a name is the same in every place.

Workers, other machines and later commands have other working folders, so a recipe holds places that mean the same to
all of them. What a run remembers and publishes holds names: a run folder, a corpus or a package may move.
"""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

from fireact_ray.core.errors import InputError

NANO = "nano"  # the base model that ships with the package
NANO_DIR = Path(__file__).parents[1] / "demo" / "nano" / "model"
_JOB_PACKAGES = ("runtime_resources", "working_dir_files")  # where Ray unpacks a job's working folder


def absolute(path: str) -> str:
    """A URL as it is. `~` is the user's home; what is relative lies in the current folder. Raises InputError for
    a place that is no text here: Arrow and JSON cannot name it."""
    place = path if "://" in path or path.startswith("file:/") else os.path.abspath(Path(path).expanduser())  # noqa: PTH100 (links stay links)
    try:
        place.encode()
    except UnicodeEncodeError:
        raise InputError(
            f"{place!r} is not UTF-8, or the locale of this command is not: set LC_ALL=C.UTF-8 or PYTHONUTF8=1, or "
            "give a place with another name."
        ) from None
    return place


def absolute_model(name: str) -> str:
    """A model's folder made absolute; the id of one on a hub, and `nano`, as they are."""
    is_folder = name.startswith(("/", "./", "../", "~")) or Path(name).is_dir()
    return absolute(name) if name != NANO and is_folder else name


def below(place: str, name: str) -> str:
    """The place of a file or folder in that of a folder; a URL's options stay behind it."""
    folder, mark, options = place.partition("?") if "://" in place else (place, "", "")
    return f"{folder.rstrip('/')}/{name}{mark}{options}"


def last_name(path: str) -> str:
    """What it is called, wherever it lies. The package's own model is called so in every package."""
    place = path.partition("?")[0] if "://" in path else path
    parts = Path(place.rstrip("/")).parts
    if parts[-4:] == ("fireact_ray", "demo", "nano", "model") or parts[-3:] == ("fireact_ray", "nano", "model"):
        return NANO
    return parts[-1] if parts else path


def named(path: str | None, fingerprint: str | None = None) -> dict[str, str | None] | None:
    """Name and content of a file, folder or model, as a run folder remembers them. Fingerprint None: not known."""
    return None if path is None else {"name": last_name(path), "fingerprint": fingerprint}


def goes_with_a_job(path: str) -> bool:
    """In the copy of a working folder that Ray makes for a job, and deletes with it."""
    parts = Path(path).parts
    return any(pair == _JOB_PACKAGES for pair in pairwise(parts))
