"""Keys from content: the same work always gets the same key, on any machine, in any order, at any time."""

import hashlib
import json
from typing import Any

_encode = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode


def content_hash(value: Any, length: int = 16) -> str:
    """Hex digest of a JSON-serialisable value, independent of key order."""
    return hashlib.sha256(_encode(value).encode("utf-8", "surrogatepass")).hexdigest()[:length]
