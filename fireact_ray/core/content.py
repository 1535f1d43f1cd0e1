"""The message of a chat reply -> what it says and what the model thought: text, or a list of parts; one of many fields.

{"content": "text", "reasoning_content": "thought"}                          also `reasoning`, `thinking`, ...
{"content": [{"type": "thinking", "thinking": "..."}, {"type": "text", "text": "..."}]}
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_SAID = {"text", "output_text"}
_THOUGHT = {"thinking", "reasoning", "reasoning.text", "reasoning.summary", "summary_text", "thought"}
_NEITHER = {"redacted_thinking", "reasoning.encrypted", "reference"}
_FIELDS = ("reasoning_content", "reasoning", "thinking", "thoughts")  # servers that tell two of them tell the same
_LISTS = ("reasoning_details", "thinking_blocks")


@dataclass(frozen=True, slots=True)
class Content:
    """`text` is None where the message says nothing at all; `unread` names the first part that is not read."""

    text: str | None
    reasoning: str
    refusal: str = ""
    unread: str = ""


def read_content(message: dict[str, Any], between: str = "") -> Content:
    """`between`: what stands between two parts. A model's own parts are one text; those of a tool are a text each."""
    content = message.get("content")
    said: list[str] = []
    thought: list[str] = []
    refusals = [refusal] if isinstance(refusal := message.get("refusal"), str) else []
    unread = ""
    for part in [content] if isinstance(content, dict) else content if isinstance(content, list) else ():
        match part:
            case str():
                said.append(part)
            case {"type": str(kind), **fields} if kind in _THOUGHT:
                thought += _texts(fields)
            case {"type": str(kind), "text": str(words)} if kind in _SAID:
                said.append(words)
            case {"type": "refusal", "refusal": str(refused)}:
                refusals.append(refused)
            case {"type": str(kind)} if kind in _NEITHER:
                continue
            case _:
                unread = unread or _named(part)
    if isinstance(content, str):
        said.append(content)
    elif content is not None and not isinstance(content, dict | list):
        unread = _named(content)
    text = between.join(said) if said or content == [] else None
    return Content(text, "\n\n".join(_told(message)) or "\n\n".join(thought), "".join(refusals), unread)


def _told(message: dict[str, Any]) -> list[str]:
    """What stands beside the content."""
    for name in _FIELDS:
        if isinstance(told := message.get(name), str) and told:
            return [told]
    for name in _LISTS:
        if texts := list(_texts(message.get(name))):
            return texts
    return []


def _texts(part: Any) -> Iterator[str]:
    """Of a part that holds a thought: as text, or as a list of parts."""
    if isinstance(part, str) and part:
        yield part
    elif isinstance(part, list):
        for inner in part:
            yield from _texts(inner)
    elif isinstance(part, dict):
        for name in ("thinking", "text", "reasoning", "summary", "content"):
            yield from _texts(part.get(name))


def _named(part: Any) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    return f"a part '{kind[:40]}'" if isinstance(kind, str) else f"a {type(part).__name__}"
