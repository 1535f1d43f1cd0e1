"""A tokenizer that encodes a text once: with every step of a conversation all its earlier turns come again."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from fireact_ray.rendering.base import Follows, Tokenizer

_MOST_TEXTS = 2_000


class RememberingTokenizer:
    """Gives the ids of `inner`. For one thread."""

    def __init__(self, inner: Tokenizer) -> None:
        self._inner = inner
        self._known = lru_cache(_MOST_TEXTS)(lambda text, follows: tuple(inner.encode(text, follows)))

    @property
    def bos_id(self) -> int | None:
        return self._inner.bos_id

    @property
    def eos_id(self) -> int:
        return self._inner.eos_id

    @property
    def fingerprint(self) -> str:
        return self._inner.fingerprint

    def encode(self, text: str, follows: Follows = "start") -> list[int]:
        return list(self._known(text, follows))

    def encode_batch(self, texts: Sequence[str], follows: Follows = "start") -> list[list[int]]:
        return [self.encode(text, follows) for text in texts]

    def decode(self, ids: Sequence[int]) -> str:
        return self._inner.decode(ids)
