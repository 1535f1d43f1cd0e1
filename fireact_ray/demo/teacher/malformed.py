"""Twelve ways in which real providers say 200 and send something else than a completion, made from a good one.

A proxy's page, a failed upstream told as OK, a withheld or withdrawn reply, a torn or recoded body. What a client must
make of each stands in tests/agent/models/test_openai.py; the reply with odd usage is the only one that it may use.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

_HTML = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _torn(whole: dict[str, Any]) -> bytes:
    return (body := _json(whole))[: len(body) // 2]


def _with_choice(whole: dict[str, Any], **changes: Any) -> bytes:
    return _json({**whole, "choices": [{**whole["choices"][0], **changes}]})


def _with_content(whole: dict[str, Any], content: Any, **changes: Any) -> bytes:
    return _with_choice(whole, message={"role": "assistant", "content": content}, **changes)


def _parts(whole: dict[str, Any]) -> bytes:
    """Parts of text would be read; a part that is none is not."""
    return _with_content(whole, [{"type": "image_url", "image_url": {"url": "data:,"}}])


def _latin_1(whole: dict[str, Any]) -> bytes:
    return _with_content(whole, "Thought: café").replace(rb"\u00e9", "é".encode("latin-1"))


# Each: the whole reply as JSON -> the body that is sent instead.
SHAPES: Mapping[str, Callable[[dict[str, Any]], bytes]] = {
    "torn": _torn,
    "empty": lambda _: b"",
    "html": lambda _: _HTML.encode(),
    "list": lambda whole: _json([whole]),
    "error": lambda _: _json({"error": {"message": "Provider returned error", "code": 502}}),
    "no_choice": lambda whole: _json({**whole, "choices": []}),
    "null_message": lambda whole: _with_choice(whole, message=None),
    "null_content": lambda whole: _with_content(whole, None),
    "content_parts": _parts,
    "latin_1": _latin_1,
    "filtered": lambda whole: _with_content(whole, None, finish_reason="content_filter"),
    "odd_usage": lambda whole: _json({**whole, "usage": {"prompt_tokens": "12", "completion_tokens": None}}),
}


def content_type(shape: str) -> str:
    return "text/html" if shape == "html" else "application/json"
