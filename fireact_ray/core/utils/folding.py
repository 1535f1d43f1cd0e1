"""Texts as they count when two are compared: what no reader would call a difference is folded away.

Not for scores: those keep SQuAD's definition (`tasks/scoring.py`).
"""

from __future__ import annotations

import re
import unicodedata

# Dropped where it stands, so that U.S. is US, O'Neill is ONeill and 1,000 is 1000.
_GONE_ASCII = ".'`"
_GONE = re.compile(  # as well: other apostrophes, soft hyphen, marks without width, accents that stood on a letter
    r"[.'`\u2018\u2019\u201b\u02bb\u02bc\u2032\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"
    r"\ufe00-\ufe0f\u0300-\u036f]|(?<=[0-9]),(?=[0-9])"
)
_GROUPS = re.compile(r"(?<=[0-9]),(?=[0-9])")  # of digits
_ASCII = str.maketrans({chr(c): None if chr(c) in _GONE_ASCII else " " for c in range(128) if not chr(c).isalnum()})
_BETWEEN = re.compile(r"[\W_]+")
_UNSPACED = re.compile("([\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff])")  # Thai, Lao, Japanese and Chinese: no spaces


def folded(text: str) -> str:
    """Words in lower case, one space between them: without punctuation, quotes, dashes, accents and invisible marks,
    wide and compatible forms (NFKC) as the plain ones. Of scripts without spaces each character is a word."""
    if text.isascii():
        plain = _GROUPS.sub("", text) if "," in text else text
        return " ".join(plain.lower().translate(_ASCII).split())
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return " ".join(_BETWEEN.sub(" ", _UNSPACED.sub(r" \1 ", _GONE.sub("", plain))).split())
