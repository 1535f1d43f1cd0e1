"""What a renderer is: the one bridge between a conversation and token ids, for training and inference alike.

A `Format` cuts a conversation into segments; the `Renderer` encodes each segment by itself and appends its ids together
with its mask value. So a whole conversation has the same ids as one built turn by turn, ids and mask cannot drift
apart, and a serving prompt is literally a prefix of a training row. Only `_Writer._append` touches the two lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from fireact_ray.errors import DataError
from fireact_ray.hashing import content_hash
from fireact_ray.types import Turn

Piece = str | int  # text, in which no special token is recognised; or the id of one
Follows = Literal["start", "control", "text"]  # what stands right before a text: nothing, a special token, other text


class Segment(NamedTuple):
    """What is encoded by itself. Neighbouring texts within one are encoded as one text."""

    pieces: tuple[Piece, ...]
    trained: bool = False


class Rendered(NamedTuple):
    """Two lists of equal length; loss_mask: 1 = trained."""

    input_ids: list[int]
    loss_mask: list[int]


class Tokenizer(Protocol):
    """What the renderer needs of a tokenizer; `HubTokenizer` wraps one of transformers so."""

    @property
    def bos_id(self) -> int | None: ...

    @property
    def eos_id(self) -> int: ...

    @property
    def fingerprint(self) -> str: ...

    def encode(self, text: str, follows: Follows = "start") -> list[int]:
        """Ids of plain text: no special token is added, and none is recognised inside `text`."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids, special tokens left out."""
        ...


class Format(Protocol):
    """How a conversation is laid out."""

    @property
    def end_id(self) -> int:
        """The token that ends an assistant's turn: trained at its end, and what generation stops at."""
        ...

    @property
    def fingerprint(self) -> str:
        """Of whatever else than the tokenizer shapes the ids."""
        ...

    def segments(self, system: str | None, turns: Sequence[Turn]) -> Iterable[Segment]:
        """Of user and assistant turns, alternating. An assistant's turn is one trained segment, if it is trained, and
        ends with `end_id`. The segments of the first turns are the first segments, however many turns follow."""
        ...

    def reply(self, ids: Sequence[int]) -> str:
        """The content of the assistant turn that was generated as `ids`, end token left out."""
        ...


@dataclass(frozen=True)
class Renderer:
    name: str
    tokenizer: Tokenizer
    format: Format

    @property
    def fingerprint(self) -> str:
        """Of format and tokenizer; travels dataset -> checkpoint -> server."""
        parts = [self.name, self.format.fingerprint, self.format.end_id, self.tokenizer.fingerprint]
        return f"{self.name}-{content_hash(parts, length=12)}"

    @property
    def end_id(self) -> int:
        return self.format.end_id

    def render(self, turns: Sequence[Turn]) -> Rendered:
        """A whole conversation. Trained: text and end token of the turns marked `trained`, nothing else."""
        system, rest = _checked(turns)
        writer = _Writer(self.tokenizer)
        for segment in self.format.segments(system, rest):
            writer.add(segment)
        return Rendered(writer.input_ids, writer.loss_mask)

    def prompt(self, turns: Sequence[Turn]) -> list[int]:
        """Ids that ask for the next assistant turn: exactly the training ids up to that turn's first token."""
        if turns[-1].role != "user":
            raise DataError(f"A prompt ends with a user turn, this one with '{turns[-1].role}'.")
        return self.render(turns).input_ids

    def decode(self, ids: Sequence[int]) -> str:
        """Text of a generated turn, end token left out."""
        return self.format.reply(ids[: ids.index(self.end_id)] if self.end_id in ids else ids)


@dataclass
class _Writer:
    """The two lists of a Rendered, always of equal length."""

    tokenizer: Tokenizer
    input_ids: list[int] = field(default_factory=list)
    loss_mask: list[int] = field(default_factory=list)
    follows: Follows = "start"

    def add(self, segment: Segment) -> None:
        text = ""
        for piece in segment.pieces:
            if isinstance(piece, str):
                text += piece
                continue
            self._text(text, segment.trained)
            self._append([piece], segment.trained, "control")
            text = ""
        self._text(text, segment.trained)

    def _text(self, text: str, trained: bool) -> None:
        if text:
            self._append(self.tokenizer.encode(text, self.follows), trained, "text")

    def _append(self, ids: Sequence[int], trained: bool, follows: Follows) -> None:
        self.input_ids.extend(ids)
        self.loss_mask.extend([int(trained)] * len(ids))
        self.follows = follows


def _checked(turns: Sequence[Turn]) -> tuple[str | None, Sequence[Turn]]:
    """The text of an optional leading system turn, and the other turns, whose roles must alternate."""
    system = turns[0].content if turns and turns[0].role == "system" else None
    rest = turns[1:] if system is not None else turns
    for i, turn in enumerate(rest):
        expected = "user" if i % 2 == 0 else "assistant"
        if turn.role != expected:
            raise DataError(f"Turn {i} of a conversation must be of role '{expected}', found '{turn.role}'.")
    if not rest:
        raise DataError("A conversation needs at least one user turn.")
    return system, rest
