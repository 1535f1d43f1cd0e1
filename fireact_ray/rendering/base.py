"""What a renderer is: the one bridge between a conversation and token ids, for training and inference alike.

A `Format` cuts a conversation into segments; the `Renderer` encodes each segment by itself and appends its ids together
with its mask value. So a whole conversation has the same ids as one built turn by turn, ids and mask cannot drift
apart, and a serving prompt is literally a prefix of a training row. `batch` does the same for many at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from fireact_ray.core.errors import DataError
from fireact_ray.core.hashing import content_hash
from fireact_ray.core.types import Turn

Piece = str | int  # text, in which no special token is recognised; or the id of one
Follows = Literal["start", "control", "text"]  # what stands right before a text: nothing, a special token, other text


class Segment(NamedTuple):
    """What is encoded by itself. Neighbouring texts within one are encoded as one text."""

    pieces: tuple[Piece, ...]
    trained: bool = False


class Part(NamedTuple):
    """A piece of a segment, all neighbouring texts of it as one."""

    content: Piece
    trained: bool
    follows: Follows


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

    def encode_batch(self, texts: Sequence[str], follows: Follows = "start") -> list[list[int]]:
        """`encode` of each, faster."""
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
        input_ids: list[int] = []
        loss_mask: list[int] = []
        for part in self.parts(turns):
            content = part.content
            ids = [content] if isinstance(content, int) else self.tokenizer.encode(content, part.follows)
            input_ids.extend(ids)
            loss_mask.extend([int(part.trained)] * len(ids))
        return Rendered(input_ids, loss_mask)

    def parts(self, turns: Sequence[Turn]) -> Iterator[Part]:
        """What a conversation consists of, in order."""
        system, rest = _checked(turns)
        follows: Follows = "start"
        for segment in self.format.segments(system, rest):
            for content in _joined(segment.pieces):
                yield Part(content, segment.trained, follows)
                follows = "control" if isinstance(content, int) else "text"

    def prompt(self, turns: Sequence[Turn]) -> list[int]:
        """Ids that ask for the next assistant turn: exactly the training ids up to that turn's first token."""
        if turns[-1].role != "user":
            raise DataError(f"A prompt ends with a user turn, this one with '{turns[-1].role}'.")
        return self.render(turns).input_ids

    def decode(self, ids: Sequence[int]) -> str:
        """Text of a generated turn, end token left out."""
        return self.format.reply(ids[: ids.index(self.end_id)] if self.end_id in ids else ids)


def _joined(pieces: Sequence[Piece]) -> Iterator[Piece]:
    text = ""
    for piece in pieces:
        if isinstance(piece, str):
            text += piece
            continue
        if text:
            yield text
        yield piece
        text = ""
    if text:
        yield text


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
