"""A mistyped word in, the known name that was probably meant out: for error messages."""

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name that looks most like `word`, or None where none is similar; case does not count."""
    spelled = {name.casefold(): name for name in sorted(known)}
    found = difflib.get_close_matches(word.casefold(), spelled, n=1)
    return spelled[found[0]] if found else None
