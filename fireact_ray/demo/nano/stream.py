"""Documents without end, cut into rows of token ids and loss weights."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from fireact_ray.demo.nano import basetext, lookups
from fireact_ray.demo.nano.parts import Document
from fireact_ray.demo.nano.scenes import FreshWords, Scene

_LOG_WEIGHT, _STRANGE_WEIGHT = 0.25, 0.06
_USUAL = 100  # percent: the weight of predicting a token
_GIVEN = 10  # of text that a reader is told; it teaches the language, but mostly cannot be foreseen
IdArray: TypeAlias = NDArray[np.int16]
WeightArray: TypeAlias = NDArray[np.uint8]
_INVENTED = re.compile(r"[A-Z][a-z]+|\d{3,}")  # shorter numbers are mostly sums, which can be foreseen


def documents(seed: int | str) -> Iterator[tuple[Document, frozenset[str]]]:
    """Documents, each with the invented words that it may use."""
    rng, pool = random.Random(seed), FreshWords()
    kinds = [*basetext.KINDS.values(), (_LOG_WEIGHT, lookups.log), (_STRANGE_WEIGHT, lookups.strange_log)]
    weights, writers = zip(*kinds, strict=True)
    while True:
        scene = Scene(rng, pool)
        document = rng.choices(writers, weights)[0](scene, rng)
        yield document, frozenset(scene.words)


def texts(seed: int | str) -> Iterator[str]:
    """The same documents as plain text."""
    return ("".join(piece.text for piece in document) for document, _ in documents(seed))


class Encoder:
    """Documents to token ids and the weights of predicting them, as percent."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._backend = tokenizer.backend_tokenizer
        self._end: int = tokenizer.eos_token_id

    def rows(self, seed: int | str, n: int, length: int) -> tuple[IdArray, WeightArray]:
        """Documents behind one another, cut into rows, both (n, length)."""
        stream, size = documents(seed), n * length
        ids: list[int] = []
        weights: list[int] = []
        while len(ids) < size:
            more_ids, more_weights = self.encode(*next(stream))
            ids += more_ids
            weights += more_weights
        shape = (n, length)
        return np.array(ids[:size], np.int16).reshape(shape), np.array(weights[:size], np.uint8).reshape(shape)

    def encode(self, document: Document, words: frozenset[str]) -> tuple[list[int], list[int]]:
        ids: list[int] = []
        weights: list[int] = []
        seen: set[str] = set()
        for piece in document:
            encoded = self._backend.encode(piece.text, add_special_tokens=False)
            spans = _first_mentions(piece.text, words, seen)
            usual = _GIVEN if piece.given else _USUAL
            ids += encoded.ids
            weights += [0 if any(start < b and a < end for a, b in spans) else usual for start, end in encoded.offsets]
            if piece.ends_turn:
                ids.append(self._end)
                weights.append(_USUAL)
        return [*ids, self._end], [*weights, _USUAL]


def _first_mentions(text: str, words: frozenset[str], seen: set[str]) -> list[tuple[int, int]]:
    """Spans of invented words and numbers that no earlier text of the document had; they join `seen`."""
    spans = []
    for match in _INVENTED.finditer(text):
        word = match.group()
        word = word if word in words or word.isdigit() else word.removesuffix("s")
        if (word in words or word.isdigit()) and word not in seen:
            seen.add(word)
            spans.append(match.span())
    return spans
