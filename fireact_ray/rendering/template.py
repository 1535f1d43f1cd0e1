"""A tokenizer's own chat template as a format's layout: which ids are a reply, without any marks in the template.

The template is filled with numbered marks instead of texts, up to each turn: first so that it asks for the reply
(`add_generation_prompt`), then with the reply. Each of these must begin with the one before; what it adds is the turn.
Marks are then replaced by texts that are encoded as plain text, while the template's own text keeps its special
tokens: no text can forge one. The layout depends on the shape of a conversation alone, so it is computed once.

With ChatML, a question and its answer as the marks M0 and M1 give the text

    <|im_start|>user\\nM0<|im_end|>\\n<|im_start|>assistant\\nM1<|im_end|>\\n

which is known without M1 first (asked for the reply), so the turns and their layout are

    user       [<|im_start|>] "user\\n" text 0 [<|im_end|>] "\\n" [<|im_start|>] "assistant\\n"      mask 0
    assistant  text 1 [<|im_end|>]                                                               mask 1
               "\\n"                                                                             mask 0

A template that rewrites what it was given, or changes earlier turns later, is refused: a prompt would then differ from
the training row.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from fireact_ray.core.errors import InputError
from fireact_ray.rendering.base import Piece, Segment

if TYPE_CHECKING:  # it knows transformers, which a recipe must not load
    from fireact_ray.rendering.tokenizer import HubTokenizer

# Private-use characters around a mark's number. The quote shows how the template writes texts in that place.
_MARK = re.compile('\ue000(\\d+)(\\\\?)"\ue001')
_SHOWN = 60  # characters of a template's text in an error


class Message(NamedTuple):
    """`kind` says how the template is given it, `texts` are what it is filled with."""

    kind: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Slot:
    """Where text number `index` of a conversation goes, as it is or as the inside of a JSON string."""

    index: int
    in_json: bool

    def fill(self, texts: Sequence[str]) -> str:
        text = texts[self.index]
        return json.dumps(text, ensure_ascii=False)[1:-1] if self.in_json else text


Shape = tuple[tuple[str, int], ...]  # kind and number of texts of each message
Layout = tuple[Piece | Slot, ...]


class Template:
    """`write`: kind and texts -> the message that the template is given. `probe`: a conversation as it will be filled.

    Raises InputError where the template is not fit for it; so does every method, for other conversations.
    """

    def __init__(
        self,
        tokenizer: HubTokenizer,
        write: Callable[[str, Sequence[str]], dict[str, Any]],
        probe: Sequence[Message],
        tools: list[dict[str, Any]] | None = None,
    ) -> None:
        self._tokenizer = tokenizer
        self._write = write
        self._tools = tools
        self._layouts: dict[Shape, Layout] = {}
        self.end_id = self._end_of(self._added(_shape(probe[:2])))
        self.check(probe)

    def check(self, messages: Sequence[Message]) -> None:
        """That the template neither rewrites nor drops nor adds anything, shown by real texts."""
        filled = "".join(self._filled_text(messages, n) for n in self._turn_ends(messages))
        real = self._fill([self._write(*message) for message in messages], ask=not self._is_reply(_shape(messages)))
        if filled != real:
            raise self._unfit(f"it rewrites texts: {_difference(filled, real)}")

    def segments(self, messages: Sequence[Message], trained: Sequence[bool]) -> Iterator[Segment]:
        """`trained`: of each reply."""
        texts = [text for message in messages for text in message.texts]
        marks = iter(trained)
        for n in self._turn_ends(messages):
            shape = _shape(messages[:n])
            pieces = tuple(p.fill(texts) if isinstance(p, Slot) else p for p in self.layout(shape))
            if not self._is_reply(shape):
                yield Segment(pieces)
                continue
            end = len(pieces) - pieces[::-1].index(self.end_id)
            yield Segment(pieces[:end], next(marks))
            yield Segment(pieces[end:])

    def layout(self, shape: Shape) -> Layout:
        """What the last message adds; a context ends with what asks for the reply."""
        if shape not in self._layouts:
            layout = self._added(shape)
            if self._is_reply(shape):
                self._check_reply(shape, layout)
            self._layouts[shape] = layout
        return self._layouts[shape]

    def _added(self, shape: Shape) -> Layout:
        is_reply = self._is_reply(shape)
        before, whole = self._before(shape), self._marked(shape, ask=not is_reply)
        known = self._marked(before, ask=is_reply) if before else ""
        if not whole.startswith(known):
            raise self._unfit(f"it changes earlier turns when turns follow: {_difference(known, whole)}")
        layout = self._take_apart(whole[len(known) :])
        first, last = (sum(n for _, n in messages) for messages in (before, shape))
        found = [piece.index for piece in layout if isinstance(piece, Slot)]
        wrong = [i for i in range(first, last) if found.count(i) != 1]
        if wrong or len(found) != last - first:
            raise self._unfit(f"it drops, repeats or encodes what stands at {wrong} in {self._described(shape, first)}")
        return layout

    def _take_apart(self, text: str) -> Layout:
        pieces: list[Piece | Slot] = []
        start = 0
        for mark in _MARK.finditer(text):
            pieces += self._tokenizer.split(text[start : mark.start()])
            pieces.append(Slot(int(mark[1]), in_json=bool(mark[2])))
            start = mark.end()
        return (*pieces, *self._tokenizer.split(text[start:]))

    def _check_reply(self, shape: Shape, layout: Layout) -> None:
        content = self._write(shape[-1][0], _marks(0, shape[-1][1]))["content"]
        lead = layout[: next(i for i, p in enumerate(layout) if isinstance(p, Slot))]
        if content and any(isinstance(p, int) or p.strip() for p in lead if not isinstance(p, Slot)):
            raise self._unfit(f"between its generation prompt and a reply it writes {_shown(self._show(lead))}")
        end = self._end_of(layout)
        if end != self.end_id or layout.count(end) > 1:
            raise self._unfit("replies do not all end with the same special token, or hold it earlier")

    def _end_of(self, layout: Layout) -> int:
        """The special token behind which a reply holds nothing but spaces."""
        for piece in reversed(layout):
            if isinstance(piece, int):
                return piece
            if isinstance(piece, Slot) or piece.strip():
                break
        raise self._unfit(f"no special token ends a reply, but {_shown(self._show(layout[-1:]))}")

    def _filled_text(self, messages: Sequence[Message], n: int) -> str:
        """What the first `n` messages add to the first `n - 1`, as text."""
        texts = [text for message in messages for text in message.texts]
        shape = _shape(messages[:n])
        self.layout(shape)  # and so all its checks
        before, is_reply = self._before(shape), self._is_reply(shape)
        known = len(self._marked(before, ask=is_reply)) if before else 0
        added = self._marked(shape, ask=not is_reply)[known:]
        return _MARK.sub(lambda mark: Slot(int(mark[1]), bool(mark[2])).fill(texts), added)

    def _before(self, shape: Shape) -> Shape:
        """All but the last turn; a system turn belongs to the first user turn."""
        return shape[:-1] if len(shape) > 1 and shape[-2][0] != "system" else ()

    def _turn_ends(self, messages: Sequence[Message]) -> range:
        return range(2 if messages[0].kind == "system" else 1, len(messages) + 1)

    def _is_reply(self, shape: Shape) -> bool:
        kind, n_texts = shape[-1]
        return bool(self._write(kind, _marks(0, n_texts))["role"] == "assistant")

    def _marked(self, shape: Shape, ask: bool) -> str:
        """The filled template, with a mark for each text."""
        messages, first = [], 0
        for kind, n_texts in shape:
            messages.append(self._write(kind, _marks(first, n_texts)))
            first += n_texts
        return self._fill(messages, ask)

    def _fill(self, messages: list[dict[str, Any]], ask: bool) -> str:
        return self._tokenizer.fill_template(messages, self._tools, ask)

    def _described(self, shape: Shape, first: int) -> str:
        """The last message, with the numbers of its texts."""
        kind, n_texts = shape[-1]
        return str(self._write(kind, [str(first + i) for i in range(n_texts)]))

    def _show(self, pieces: Sequence[Piece | Slot]) -> str:
        return "".join(
            "..." if isinstance(p, Slot) else p if isinstance(p, str) else self._tokenizer.show([p]) for p in pieces
        )

    def _unfit(self, reason: str) -> InputError:
        return InputError(
            f"The chat template of {self._tokenizer.name} cannot be trained with: {reason}. "
            "Put another chat_template.jinja beside the tokenizer, or choose another student.renderer."
        )


def _shape(messages: Sequence[Message]) -> Shape:
    return tuple((message.kind, len(message.texts)) for message in messages)


def _marks(first: int, n: int) -> list[str]:
    return [f'\ue000{i}"\ue001' for i in range(first, first + n)]


def _difference(expected: str, found: str) -> str:
    """Where two texts part, for people."""
    pairs = zip(expected, found, strict=False)
    start = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(expected), len(found)))
    return f"{_shown(expected[start:])} becomes {_shown(found[start:])}"


def _shown(text: str) -> str:
    shown = _MARK.sub("...", text)
    return repr(shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}...")
