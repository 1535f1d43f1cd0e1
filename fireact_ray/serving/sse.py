"""Server-sent events: text/event-stream."""

from __future__ import annotations

import json
from typing import Any

DONE = "data: [DONE]\n\n"
SILENT = ": still at work\n\n"  # a comment, which clients skip: it keeps proxies from closing the connection


def event(data: Any, name: str | None = None) -> str:
    """One event. JSON has no line breaks of its own, so it is one line."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data, ensure_ascii=False)}\n\n"
