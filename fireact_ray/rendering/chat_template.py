"""`chat-template`: any tokenizer's own chat template (Llama-3, Qwen, Mistral, Gemma, ...), as it is.

Where the template has no place for a system turn, or moves it, its text goes before the question. Texts are stripped,
as most templates do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from fireact_ray.core.errors import InputError
from fireact_ray.core.hashing import content_hash
from fireact_ray.core.types import Turn
from fireact_ray.rendering.base import Segment
from fireact_ray.rendering.template import Message, Template

if TYPE_CHECKING:  # it knows transformers, which a recipe must not load
    from fireact_ray.rendering.tokenizer import HubTokenizer

_SYSTEM = Message("system", ("Answer the question.",))
_PROBE = (
    Message("user", ("Where is Zem?",)),
    Message("assistant", ("Thought: I look for Zem.\nAction: search[Zem]",)),
    Message("user", ("Observation: Zem is a city in Dar.",)),
    Message("assistant", ("Thought: It is in Dar.\nAction: finish[Dar]",)),
)


class ChatTemplate:
    """Raises InputError for a tokenizer without a template, and for a template that cannot be trained with."""

    def __init__(self, tokenizer: HubTokenizer) -> None:
        self.fingerprint = content_hash(tokenizer.chat_template())
        self._tokenizer = tokenizer
        self._template = Template(tokenizer, _write, _PROBE)
        self._has_system = takes_system(self._template, _SYSTEM, _PROBE)
        self.end_id = self._template.end_id

    def segments(self, system: str | None, turns: Sequence[Turn]) -> Iterator[Segment]:
        messages = [Message(turn.role, (turn.content.strip(),)) for turn in turns]
        trained = [turn.trained for turn in turns if turn.role == "assistant"]
        return self._template.segments(with_system(system, messages, self._has_system), trained)

    def reply(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(ids).strip()


def takes_system(template: Template, system: Message, probe: Sequence[Message]) -> bool:
    """Whether a system turn stays where it is, whatever follows."""
    try:
        template.check([system, *probe])
    except InputError:
        return False
    return True


def with_system(system: str | None, messages: list[Message], takes_it: bool) -> list[Message]:
    if not system:
        return messages
    if takes_it:
        return [Message("system", (system.strip(),)), *messages]
    question = messages[0]
    return [Message(question.kind, (f"{system.strip()}\n\n{question.texts[0]}",)), *messages[1:]]


def _write(kind: str, texts: Sequence[str]) -> dict[str, Any]:
    return {"role": kind, "content": texts[0]}
