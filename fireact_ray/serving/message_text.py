"""The content of a message, as the protocols spell it, -> its text. What is no text is refused by name."""

from __future__ import annotations

from typing import Any

from fireact_ray.serving.conversation import Speaker
from fireact_ray.serving.errors import ApiError

_TEXTS = {"text", "input_text", "output_text", "summary_text", "reasoning_text"}
_THOUGHTS = {"thinking", "redacted_thinking", "reasoning"}  # what a model said to itself, as in fields beside a content
SPEAKERS: dict[str, Speaker] = {
    "system": "Instructions",
    "developer": "Instructions",
    "user": "User",
    "assistant": "Assistant",
    "tool": "Tool",
    "function": "Tool",
}


def text_of(content: str | list[Any] | None, param: str) -> str:
    """Parts are joined by line breaks. Raises ApiError (400) for a part that holds no text, such as an image."""
    if not isinstance(content, list):
        return content or ""
    return "\n".join(filter(None, (_part(part, f"{param}.{i}") for i, part in enumerate(content))))


def _part(part: Any, param: str) -> str:
    match part:
        case str(text):
            return text
        case {"type": str(kind), "text": str(text)} if kind in _TEXTS:
            return text
        case {"type": "refusal", "refusal": str(text)}:
            return text
        case {"type": str(kind)} if kind in _THOUGHTS:
            return ""
        case {"type": str(kind)}:
            raise ApiError(400, f"A part of type '{kind[:40]}' cannot be read: this agent reads text.", param=param)
        case _:
            raise ApiError(400, "A part of a content is a text, or an object with a type.", param=param)
