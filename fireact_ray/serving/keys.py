"""API keys with names. A file holds their hashes only; who sends one is known by its name.

    # name: sha256 of the key, one a line
    alice: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08

A plain hash is enough, because a key is no password: `new_key` draws 256 bits, which nobody tries through.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from fireact_ray.core.errors import InputError

_PREFIX = "fr-"
_LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63})\s*:\s*([0-9a-f]{64})")


def new_key() -> str:
    """To be shown once and kept by its owner; `line_of` is what the file keeps."""
    return _PREFIX + secrets.token_urlsafe(32)


def line_of(name: str, key: str) -> str:
    """Raises InputError for a name that a file could not hold."""
    line = f"{name}: {_hash(key)}"
    if _LINE.fullmatch(line) is None:
        raise InputError(f"'{name}' is no name of a key: up to 64 letters, digits, dots, dashes and underscores.")
    return line


def add_key(path: str, name: str) -> str:
    """A new key, whose hash is now in the file; a new file is its owner's alone. Raises InputError for a name that it
    holds already, and for a file that cannot be used."""
    file = Path(path).expanduser()
    key = new_key()
    line = line_of(name, key)
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    if name in _hashes(text, str(file)):
        raise InputError(f"{file} has a key named '{name}' already: take that line out, or choose another name.")
    try:
        file.touch(0o600)
        with file.open("a", encoding="utf-8") as lines:
            lines.write(f"{line}\n" if not text or text.endswith("\n") else f"\n{line}\n")
    except OSError as error:
        raise InputError(f"{file} cannot be written ({error.strerror}).") from None
    return key


class Keys:
    """Who may ask. Shows no key and no hash when it is printed."""

    def __init__(self, hashes: Mapping[str, str]) -> None:
        """`hashes`: by name, SHA-256 in hex."""
        self._hashes = {name: digest.encode() for name, digest in hashes.items()}

    @classmethod
    def of(cls, keys: Mapping[str, str]) -> Keys:
        """Of keys themselves, by name: as where one is read from an environment variable."""
        return cls({name: _hash(key) for name, key in keys.items()})

    @classmethod
    def read(cls, path: str) -> Keys:
        """Raises InputError for a file that is missing, empty, or holds a line that is no key's."""
        file = Path(path).expanduser()
        if not file.is_file():
            raise InputError(f"There is no file of keys at {file}. Write it with `fireact key NAME`.")
        hashes = _hashes(file.read_text(encoding="utf-8"), str(file))
        if not hashes:
            raise InputError(f"{file} holds no key. Write it with `fireact key NAME`.")
        return cls(hashes)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._hashes)

    def name_of(self, key: str) -> str | None:
        """Whose key it is. Takes as long for one that is wrong, whichever it is, as for a right one."""
        given, found = _hash(key).encode(), None
        for name, digest in self._hashes.items():
            found = name if hmac.compare_digest(given, digest) else found
        return found

    def __repr__(self) -> str:
        return f"Keys({', '.join(self._hashes)})"


def _hashes(text: str, place: str) -> dict[str, str]:
    """By name. Raises InputError."""
    hashes: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not (stripped := line.strip()) or stripped.startswith("#"):
            continue
        entry = _LINE.fullmatch(stripped)  # an error never shows the line: it may be a key
        if entry is None:
            raise InputError(f"{place}, line {number} is not 'name: sha256 of the key in hex'.")
        if entry[1] in hashes:
            raise InputError(f"{place}, line {number}: the name '{entry[1]}' stands there twice.")
        hashes[entry[1]] = entry[2]
    return hashes


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
