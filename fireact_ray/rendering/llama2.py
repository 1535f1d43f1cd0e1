"""`llama2`: the chat form of Llama-2 and CodeLlama, each pair of turns between begin and end token.

<bos>[INST] <<SYS>>\\n{system}\\n<</SYS>>\\n\\n{question} [/INST] {reply} <eos><bos>[INST] {observation} [/INST] ...

Both spaces around a reply are the model's to write: its chat versions were trained with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fireact_ray.core.types import Turn
from fireact_ray.rendering.base import Segment, Tokenizer


@dataclass(frozen=True)
class Llama2:
    tokenizer: Tokenizer
    fingerprint: str = ""

    @property
    def end_id(self) -> int:
        return self.tokenizer.eos_id

    def segments(self, system: str | None, turns: Sequence[Turn]) -> Iterator[Segment]:
        bos = () if self.tokenizer.bos_id is None else (self.tokenizer.bos_id,)
        head = f"<<SYS>>\n{system}\n<</SYS>>\n\n" if system else ""
        for turn in turns:
            text = turn.content.strip()
            if turn.role == "assistant":
                yield Segment((f" {text} ", self.end_id), turn.trained)
            else:
                yield Segment((*bos, f"[INST] {head}{text} [/INST]"))
                head = ""

    def reply(self, ids: Sequence[int]) -> str:
        return self.tokenizer.decode(ids).strip()
