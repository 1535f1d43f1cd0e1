"""`plain`: one running text, for base models and the nano.

{system}\\n\\nQuestion: {question}\\n{reply}<eos>\\n{observation}\\n{reply}<eos>
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fireact_ray.core.types import Turn
from fireact_ray.rendering.base import Piece, Segment, Tokenizer


@dataclass(frozen=True)
class Plain:
    tokenizer: Tokenizer
    fingerprint: str = ""

    @property
    def end_id(self) -> int:
        return self.tokenizer.eos_id

    def segments(self, system: str | None, turns: Sequence[Turn]) -> Iterator[Segment]:
        head = f"{system}\n\n" if system else ""
        return running_text((f"{head}Question: {turns[0].content}\n",), turns, self.end_id)

    def reply(self, ids: Sequence[int]) -> str:
        return self.tokenizer.decode(ids).strip()


def running_text(opening: tuple[Piece, ...], turns: Sequence[Turn], end_id: int) -> Iterator[Segment]:
    """`opening` holds the question; each observation stands on a line of its own."""
    yield Segment(opening)
    for turn in turns[1:]:
        if turn.role == "assistant":
            yield Segment((turn.content, end_id), turn.trained)
        else:
            yield Segment((f"\n{turn.content}\n",))
