"""Texts for people: amounts (None and infinity are unknown, never 0), and the name that was probably meant."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable

UNKNOWN = "unknown"


def count_text(value: float | None) -> str:
    return UNKNOWN if value is None or math.isinf(value) else f"{value:,.0f}"


def usd_text(cost_usd: float | None) -> str:
    """To the cent from a dollar on, finer below."""
    if cost_usd is None or math.isinf(cost_usd):
        return UNKNOWN
    return f"{cost_usd:,.2f}" if cost_usd >= 1 else f"{cost_usd:.4f}"


def bytes_text(n_bytes: int | None) -> str:
    """In thousands of each other: 10.1 KB, 46.3 MB."""
    if n_bytes is None:
        return UNKNOWN
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if n_bytes >= size:
            return f"{n_bytes / size:,.1f} {unit}"
    return f"{n_bytes} bytes"


def duration_text(seconds: float | None) -> str:
    if seconds is None or math.isinf(seconds):
        return UNKNOWN
    for unit, unit_s in (("h", 3600), ("min", 60)):
        if seconds >= unit_s:
            return f"{seconds / unit_s:.1f} {unit}"
    return f"{seconds:.0f} s"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name that looks most like `word`, or None where none is similar; case does not count."""
    spelled = {name.casefold(): name for name in sorted(known)}
    found = difflib.get_close_matches(word.casefold(), spelled, n=1)
    return spelled[found[0]] if found else None
