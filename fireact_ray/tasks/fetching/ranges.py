"""What a server's answer to a request for the rest of a file means: where its body begins, how long the file is, and
whether a redirect is followed.

Servers ignore a range and send all of it, begin somewhere else, or honour it and say 200 (seen in the wild): what
counts is the Content-Range that they name, never what was asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

_CONTENT_RANGE = re.compile(r"bytes\s+(?:(\d+)-(\d+)|\*)/(\d+|\*)")


@dataclass(frozen=True, slots=True)
class Body:
    """`start`: the place in the file of the body's first byte; `total`: the file's length; None: not said."""

    start: int
    total: int | None


def body_of(status: int, headers: Mapping[str, str]) -> Body | None:
    """Of a 200 or 206. None for a 206 that does not say where it begins."""
    named = _CONTENT_RANGE.match(headers.get("Content-Range", ""))
    if named and named[1]:
        return Body(int(named[1]), _number(named[3]))
    if status == 206:
        return None
    return Body(0, _number(headers.get("Content-Length", "")))


def total_of(headers: Mapping[str, str]) -> int | None:
    """The file's length in a 416, which says that nothing lies behind what was asked for."""
    named = _CONTENT_RANGE.match(headers.get("Content-Range", ""))
    return _number(named[3]) if named else None


def validator_of(headers: Mapping[str, str]) -> str | None:
    """By which a server tells whether a file is still the same: a strong ETag, else when it was changed."""
    etag = headers.get("ETag", "")
    return etag if etag.startswith('"') else headers.get("Last-Modified") or None


def redirect_problem(url: str, target: str) -> str | None:
    """Why a redirect is not followed, or None."""
    parts = urlsplit(target)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return f"it sends on to an address that is none ({parts.scheme}:)"
    if urlsplit(url).scheme == "https" and parts.scheme == "http":
        return f"it sends on from https to http ({parts.hostname})"
    return None


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None
