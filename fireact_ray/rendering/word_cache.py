"""Texts in, ids out, word by word and each word once: several times as fast, where that changes no id.

Tokenizers made from SentencePiece (Llama-2, CodeLlama, Mistral) merge over a whole text at once, and remember nothing.

Why the ids are the same: BPE joins two neighbours into one token of its vocabulary, the best pair first. Where no token
holds a space (written U+2581) behind another character, no two neighbours are ever joined across the place before a run
of spaces, so what happens on one side of it does not depend on the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from itertools import chain
from typing import Any, get_args

from fireact_ray.core.json_text import parse
from fireact_ray.rendering.base import Follows

Encode = Callable[[Sequence[str], Follows], list[list[int]]]

_SPACE = "\u2581"
_WORD = re.compile(f"[ {_SPACE}]*[^ {_SPACE}]+|[ {_SPACE}]+")  # the spaces before it are a part of it
_MAX_CHARS = 1_000_000  # of the words that are remembered: mostly 150,000 words in 50 MB


class WordEncoder:
    """`encode`: of whole texts; it is asked for words that are not known yet."""

    def __init__(self, encode: Encode) -> None:
        self._encode = encode
        self._forget()

    def __call__(self, texts: Sequence[str], follows: Follows) -> list[list[int]]:
        """As `encode` gives them."""
        if self._n_chars > _MAX_CHARS:
            self._forget()
        known = self._known
        rows = [_WORD.findall(text) for text in texts]
        first = self._learn(known[follows], {words[0] for words in rows if words}, follows)
        rest = self._learn(known["text"], set(chain.from_iterable(rows)), "text")
        return [
            first[words[0]] + list(chain.from_iterable(map(rest.__getitem__, words[1:]))) if words else []
            for words in rows
        ]

    def _learn(self, known: dict[str, list[int]], words: set[str], follows: Follows) -> dict[str, list[int]]:
        new = [word for word in words if word not in known]  # `words - known.keys()` goes through all that are known
        known |= zip(new, self._encode(new, follows), strict=True)
        self._n_chars += sum(map(len, new))
        return known

    def _forget(self) -> None:
        """Other threads may be reading what was known: it is left to them."""
        self._known: dict[Follows, dict[str, list[int]]] = {follows: {} for follows in get_args(Follows)}
        self._n_chars = 0


def is_cut_by_spaces(definition: str, control_tokens: Collection[str]) -> bool:
    """Whether a WordEncoder gives the ids of the tokenizer with this definition (the JSON of `tokenizers`)."""
    state = parse(definition)
    parts = [*_parts(state["normalizer"]), *_parts(state["pre_tokenizer"])]
    return (
        all(map(_only_marks_spaces, parts))
        and all(token["content"] in control_tokens for token in state["added_tokens"])  # others may hold spaces
        and _has_no_token_across(state["model"])
    )


def _parts(part: dict[str, Any] | None) -> list[dict[str, Any]]:
    if part is None:
        return []
    inner = part.get("normalizers", part.get("pretokenizers"))
    return [part] if inner is None else [leaf for one in inner for leaf in _parts(one)]


def _only_marks_spaces(part: dict[str, Any]) -> bool:
    """It writes U+2581 for a space, perhaps one at the start of a text, and changes nothing else."""
    if part["type"] == "Metaspace":
        return bool(part["replacement"] == _SPACE and not part["split"])
    if part["type"] == "Replace":
        return bool(part["pattern"] == {"String": " "} and part["content"] == _SPACE)
    return bool(part["type"] == "Prepend" and part["prepend"] == _SPACE)


def _has_no_token_across(model: dict[str, Any]) -> bool:
    """Plain BPE; a space is a token, so that no run of unknown characters reaches over one."""
    plain = model["type"] == "BPE" and not any(
        model.get(option) for option in ("dropout", "ignore_merges", "continuing_subword_prefix", "end_of_word_suffix")
    )
    return plain and _SPACE in model["vocab"] and not any(_SPACE in token.lstrip(_SPACE) for token in model["vocab"])
