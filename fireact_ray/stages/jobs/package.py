"""What travels with a job: this package as it is installed here, and the recipe as it is resolved here.

Nothing else does: no environment, no run folder, no history, no data. What a recipe names by a path has to be where
the job runs.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import fireact_ray
from fireact_ray.core.errors import InputError
from fireact_ray.core.hashing import content_hash
from fireact_ray.core.utils.text import bytes_text

RECIPE = "recipe.yaml"
_LEFT_OUT = frozenset({"__pycache__", "venv", "runs", "node_modules"})
_BIG = 32_000_000  # bytes: no file of the package is that large, but one that was left in it may be


@dataclass(frozen=True, slots=True)
class Package:
    """`code`: a hash of the package's files. `too_big`: files that were left out."""

    n_files: int
    n_bytes: int
    code: str
    too_big: tuple[str, ...]

    def __str__(self) -> str:
        left = f"; left out, as larger than {bytes_text(_BIG)}: {', '.join(self.too_big)}" if self.too_big else ""
        return f"{self.n_files} files, {bytes_text(self.n_bytes)} before compression{left}"


def pack(into: Path, recipe: str, limit: int, home: Path = Path(fireact_ray.__file__).parent) -> Package:
    """Lay out a job's working folder in `into`, which is empty. `limit`: bytes that a cluster takes; `home`: the
    package's folder. Raises InputError above it."""
    n_bytes, too_big, copied = len(recipe.encode()), [], []
    for file in package_files(home):
        size = file.stat().st_size
        if size > _BIG:
            too_big.append(str(file.relative_to(home)))
            continue
        n_bytes += size
        copied.append(file)
    if n_bytes > limit:
        largest = sorted(copied, key=lambda file: -file.stat().st_size)[:3]
        named = ", ".join(f"{file} ({bytes_text(file.stat().st_size)})" for file in largest)
        raise InputError(
            f"{home}: {bytes_text(n_bytes)} would go with the job, and Ray takes {bytes_text(limit)}. The largest: "
            f"{named}. Move what is no code elsewhere."
        )
    hashes = []
    for file in copied:
        target = into / home.name / file.relative_to(home)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
        hashes.append([str(file.relative_to(home)), content_hash(file.read_bytes().hex())])
    (into / RECIPE).write_text(recipe, encoding="utf-8")
    return Package(len(copied) + 1, n_bytes, content_hash(hashes, 8), tuple(too_big))


def package_files(home: Path) -> list[Path]:
    """In order; links are not followed, and hidden files stay."""
    found = []
    for file in sorted(home.rglob("*")):
        parts = file.relative_to(home).parts
        if file.is_symlink() or not file.is_file() or any(part.startswith(".") or part in _LEFT_OUT for part in parts):
            continue
        found.append(file)
    return found
