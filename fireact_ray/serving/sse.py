"""Server-sent events: text/event-stream."""

from __future__ import annotations

import json
from typing import Any

DONE = "data: [DONE]\n\n"
SILENT = ": still at work\n\n"  # a comment, which clients skip: it keeps proxies from closing the connection
# Ends of a line to some readers, though not to the protocol; the other ones are escaped in JSON anyway.
_LINE_ENDS = {ord(char): f"\\u{ord(char):04x}" for char in "\x85\u2028\u2029"}


def event(data: Any, name: str | None = None) -> str:
    """One event. JSON has no line breaks of its own, so it is one line."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data, ensure_ascii=False).translate(_LINE_ENDS)}\n\n"
