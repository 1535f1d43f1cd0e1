"""What a row says about itself beside its turns: what must not be trained, and what is not read.

Whoever recorded a row may have marked it, or single turns, as not to be learnt. A trajectory is trained as a whole, so
such a row is no trajectory. What is read nowhere is named, so that an import can count it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from fireact_ray.data.formats.transcript import NoTranscript

ROLE, TEXT = ("role", "from"), ("content", "value")
REASONING = ("reasoning_content", "reasoning", "thinking", "thoughts", "reasoning_details", "thinking_blocks")
CALLS = ("tool_calls", "function_call")
LABELS = ("label", "kto_tag")
_TRAINED = ("weight", "loss", "train", "training", "trainable", "loss_mask")  # false or 0: not to be learnt
_MASKED = "masked"  # true: not to be learnt

_OF_A_MESSAGE = {*ROLE, *TEXT, *REASONING, *CALLS, *_TRAINED, _MASKED, "tool_call_id", "name", "id", "type"}
_USUAL = frozenset({*ROLE, *TEXT, *CALLS, "tool_call_id", "name"})
_NO, _YES = ("false", "0", "0.0", "no"), ("true", "1", "1.0", "yes")


def check_row(row: dict[str, Any]) -> None:
    """Raises NoTranscript for a row that is marked as not to be learnt, or holds a good and a bad reply."""
    for key in LABELS:
        if key in row and row[key] is not None and str(row[key]).lower() == "false":
            raise NoTranscript("rejected_example", f"'{key}' is false: an example of what not to do")
    if row.get("chosen") is not None and row.get("rejected") is not None:
        raise NoTranscript(
            "preference_pair", "it holds 'chosen' and 'rejected': give the chosen conversations as 'messages'"
        )


def is_untrained(message: dict[str, Any]) -> str:
    """The mark that says that an assistant's turn is not to be learnt; empty where there is none."""
    for key in _TRAINED:
        if key in message and str(message[key]).lower() in _NO:
            return f"{key}: {message[key]}"
    return f"{_MASKED}: {message[_MASKED]}" if str(message.get(_MASKED)).lower() in _YES else ""


def unread(row: dict[str, Any], known: Collection[str]) -> Iterator[str]:
    """Notes of a row's fields that hold something and are not among the known."""
    for key in row.keys() - known:
        if not is_absent(row[key]):
            yield f"`{key}`, which is not read"


def unread_in(message: dict[str, Any]) -> Iterator[str]:
    """Notes of a message's fields that are read nowhere."""
    if message.keys() <= _USUAL:
        return
    for key in message.keys() - _OF_A_MESSAGE:
        if not is_absent(message[key]):
            yield f"`{key}` in a message, which is not read"
    for key in _TRAINED:
        value = message.get(key)
        if value is not None and str(value).lower() not in (*_NO, *_YES):
            yield f"`{key}` other than 0 and 1 in a message, which is not read"


def is_absent(value: Any) -> bool:
    """Null, or empty: tables fill columns so."""
    return value is None or (isinstance(value, str | list | dict) and not value)
