"""A tokenizer's definition (the JSON of `tokenizers`) in, encoders of plain text out: no special token in any text.

Tokenizers made from SentencePiece put a space before a text: always, only at the very start, or never after all. A
segment is a part of a text, so it needs the ids that it has there. Instead of cutting ids out of longer ones, the copy
for texts that follow other text has that space turned off.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from fireact_ray.core.json_text import parse
from fireact_ray.rendering.base import Follows


def plain_encoders(definition: str, control_tokens: Collection[str]) -> dict[Follows, Any]:
    """A `tokenizers.Tokenizer` for each place where a text can stand; all spell `control_tokens` out as characters."""
    from tokenizers import Tokenizer

    states = {follows: _state(definition, control_tokens, follows) for follows in ("start", "control", "text")}
    encoders = {state: Tokenizer.from_str(state) for state in set(states.values())}  # mostly one, and each is large
    for encoder in encoders.values():
        encoder.encode_special_tokens = True
    return {follows: encoders[state] for follows, state in states.items()}  # type: ignore[misc]


def _state(definition: str, control_tokens: Collection[str], follows: str) -> str:
    state = parse(definition)
    state["truncation"] = state["padding"] = None  # left over from whoever used it before
    for token in state["added_tokens"]:
        token["special"] = token["content"] in control_tokens
    if follows != "start":
        state["normalizer"] = _without_space(state["normalizer"], follows)
        state["pre_tokenizer"] = _without_space(state["pre_tokenizer"], follows)
    return json.dumps(state)


def _without_space(part: dict[str, Any] | None, follows: str) -> dict[str, Any] | None:
    """The part, or the parts of a sequence, such that no space is added where the text does not start."""
    if part is None:
        return None
    for key in ("normalizers", "pretokenizers"):
        if key in part:
            kept = [_without_space(inner, follows) for inner in part[key]]
            return {**part, key: [inner for inner in kept if inner is not None]}
    if part["type"] == "Metaspace" and (follows == "text" or part["prepend_scheme"] == "first"):
        return {**part, "prepend_scheme": "never"}
    if part["type"] == "ByteLevel" and follows == "text":
        return {**part, "add_prefix_space": False}
    return None if part["type"] == "Prepend" and follows == "text" else part
