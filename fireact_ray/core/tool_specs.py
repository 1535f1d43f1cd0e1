"""The tools as models with native tool calls are told of them: names, arguments and descriptions, in OpenAI's form."""

from __future__ import annotations

from typing import Any

ARGUMENTS = {"search": "query", "finish": "answer"}  # what a tool's only argument is called
UNKNOWN = "input"  # what an invented tool's argument is called


def _schema(name: str, description: str, argument: str) -> dict[str, Any]:
    key = ARGUMENTS[name]
    parameters = {
        "type": "object",
        "properties": {key: {"type": "string", "description": argument}},
        "required": [key],
    }
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


SEARCH = _schema("search", "Look something up. The reply is one line of text.", "What to look for.")
FINISH = _schema("finish", "Give the answer and end.", "The answer, as short as possible.")
