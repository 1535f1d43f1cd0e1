"""Documents without end, packed into batches of token ids and loss weights."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from fireact_ray.demo.nano import basetext, lookups
from fireact_ray.demo.nano.parts import Document
from fireact_ray.demo.nano.scenes import FreshWords, Scene

_LOG_WEIGHT = 0.40
_GIVEN = 0.1  # weight of text that a reader is told; it teaches the language, but mostly cannot be foreseen
_INVENTED = re.compile(r"[A-Z][a-z]+|\d{3,}")  # shorter numbers are mostly sums, which can be foreseen


def documents(seed: int) -> Iterator[tuple[Document, frozenset[str]]]:
    """Documents, each with the invented words that it may use."""
    rng, pool = random.Random(seed), FreshWords()
    kinds = [*basetext.KINDS.values(), (_LOG_WEIGHT, lookups.log)]
    weights, writers = zip(*kinds, strict=True)
    while True:
        scene = Scene(rng, pool)
        document = rng.choices(writers, weights)[0](scene, rng)
        yield document, frozenset(scene.words)


def texts(seed: int) -> Iterator[str]:
    """The same documents as plain text."""
    return ("".join(piece.text for piece in document) for document, _ in documents(seed))


class Packer:
    """Cuts the stream of documents, joined by end tokens, into rows."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, seed: int) -> None:
        self._backend = tokenizer.backend_tokenizer
        self._end: int = tokenizer.eos_token_id
        self._documents = documents(seed)
        self._ids: list[int] = []
        self._weights: list[float] = []

    def batch(self, rows: int, length: int) -> tuple[Tensor, Tensor]:
        """Ids (rows, length) and the weights of predicting them, same shape."""
        size = rows * length
        while len(self._ids) < size:
            ids, weights = self.encode(*next(self._documents))
            self._ids += ids
            self._weights += weights
        ids, weights = self._ids[:size], self._weights[:size]
        del self._ids[:size], self._weights[:size]
        return torch.tensor(ids).view(rows, length), torch.tensor(weights).view(rows, length)

    def encode(self, document: Document, words: frozenset[str]) -> tuple[list[int], list[float]]:
        ids: list[int] = []
        weights: list[float] = []
        seen: set[str] = set()
        for piece in document:
            encoded = self._backend.encode(piece.text, add_special_tokens=False)
            spans = _first_mentions(piece.text, words, seen)
            usual = _GIVEN if piece.given else 1.0
            ids += encoded.ids
            weights += [
                0.0 if any(start < b and a < end for a, b in spans) else usual for start, end in encoded.offsets
            ]
            if piece.ends_turn:
                ids.append(self._end)
                weights.append(1.0)
        return [*ids, self._end], [*weights, 1.0]


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
