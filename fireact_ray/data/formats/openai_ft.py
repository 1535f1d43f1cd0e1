"""Conversations that a student is trained on in, the training file of OpenAI's fine-tuning protocol out.

    {"messages": [{"role": "user", "content": "Who ...?"}, {"role": "assistant", "content": "Thought: ..."}, ...]}

The provider learns every assistant message whole, with an end of its own. An assistant's turn that is not to be learnt
has `weight: 0`. A mask within a message cannot be said, and is not needed: our turns are trained whole or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from fireact_ray.core.errors import DataError
from fireact_ray.core.types import Turn

MIN_EXAMPLES = 10
MAX_BYTES = 512_000_000  # OpenAI's limit of one uploaded file


def training_lines(
    conversations: Iterable[Sequence[Turn]], *, min_examples: int = MIN_EXAMPLES, max_bytes: int = MAX_BYTES
) -> tuple[bytes, int]:
    """The file, and how many examples it holds.

    Raises DataError, before anything is sent, for a conversation that a provider would refuse (the first is named, all
    are counted), for too few of them, and for a file that is too large.
    """
    lines, faults = [], []
    for number, turns in enumerate(conversations, start=1):
        if fault := _fault(turns):
            faults.append(f"example {number} {fault}")
        lines.append(json.dumps({"messages": [_message(turn) for turn in turns]}, ensure_ascii=False))
    if faults:
        raise DataError(
            f"{len(faults)} of {len(lines)} examples cannot be trained by a provider; {faults[0]}. Leave such rows out."
        )
    if len(lines) < min_examples:
        raise DataError(
            f"The training file has {len(lines)} examples, a provider wants at least {min_examples}. Generate or "
            "convert more."
        )
    content = "".join(f"{line}\n" for line in lines).encode()
    if len(content) > max_bytes:
        raise DataError(
            f"The training file has {len(content):,} bytes, a provider takes at most {max_bytes:,}. Choose fewer rows "
            "by convert.n, or shorter ones by convert.max_length."
        )
    return content, len(lines)


def _message(turn: Turn) -> dict[str, Any]:
    message: dict[str, Any] = {"role": turn.role, "content": turn.content}
    if turn.role == "assistant" and not turn.trained:
        message["weight"] = 0
    return message


def _fault(turns: Sequence[Turn]) -> str:
    """What a provider would refuse, or "": it wants a user's turn first, then the assistant's, and so on to a trained
    one at the end."""
    spoken = [turn.role for turn in turns if turn.role != "system"]
    if any(turn.role == "system" for turn in turns[1:]):
        return "has a system turn behind its first"
    if spoken != ["user", "assistant"] * (len(spoken) // 2) or not spoken:
        return f"has the roles {', '.join(spoken) or 'of nobody'}, where user and assistant must alternate"
    if not turns[-1].trained:
        return "ends with a turn that is not trained"
    if any(not turn.content.strip() for turn in turns):
        return "has an empty turn"
    return ""
