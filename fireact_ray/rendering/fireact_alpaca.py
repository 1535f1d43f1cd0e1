"""`fireact-alpaca`: the form of FireAct's data (data/finetune/alpaca_format), the question in Alpaca's preamble.

<bos>{system}\\n\\n{preamble}{question}\\n\\n### Response:\\n{reply}<eos>\\n{observation}\\n{reply}<eos>
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fireact_ray.core.types import Turn
from fireact_ray.rendering.base import Piece, Segment, Tokenizer
from fireact_ray.rendering.plain import running_text

_PREAMBLE = (
    "Below is an instruction that describes a task. "
    "Write a response that appropriately completes the request.\n\n### Instruction:\n"
)


@dataclass(frozen=True)
class FireActAlpaca:
    tokenizer: Tokenizer
    fingerprint: str = ""

    @property
    def end_id(self) -> int:
        return self.tokenizer.eos_id

    def segments(self, system: str | None, turns: Sequence[Turn]) -> Iterator[Segment]:
        head = f"{system}\n\n" if system else ""
        text = f"{head}{_PREAMBLE}{turns[0].content}\n\n### Response:\n"
        bos_id = self.tokenizer.bos_id
        opening: tuple[Piece, ...] = (text,) if bos_id is None else (bos_id, text)
        return running_text(opening, turns, self.end_id)

    def reply(self, ids: Sequence[int]) -> str:
        return self.tokenizer.decode(ids).strip()
