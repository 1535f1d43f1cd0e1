"""A transformers tokenizer as renderers need it: plain text in, ids out, no special token by accident."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from fireact_ray.core.errors import DataError, InputError
from fireact_ray.core.hashing import content_hash
from fireact_ray.core.json_text import NotJson, parse
from fireact_ray.core.storage.fetched import fetched
from fireact_ray.rendering.base import Follows, Piece
from fireact_ray.rendering.plain_text import plain_encoders
from fireact_ray.rendering.word_cache import WordEncoder, is_cut_by_spaces

# Spaces, digits, case, scripts, composed letters and brackets: what tokenizers of equal vocabularies differ in.
_PROBE = "It's 1947:\n\n\tsearch[Größe  中文, ﬁ e\u0301] 🙂 "
# Before a template. One that asks what day it is takes the date that it has for a server without a clock, as that of
# Llama 3.2 has, or fails.
_NO_CLOCK = "{% set strftime_now = no_clock +%}"
_PLAIN = "TokenizersBackend"  # a tokenizer.json, and nothing that its model does in code


class HubTokenizer:
    """Wraps `tokenizer`; text that spells a special token ("</s>") is encoded as the characters it consists of."""

    def __init__(self, tokenizer: Any) -> None:
        self.name = str(tokenizer.name_or_path)
        self._tokenizer = tokenizer
        if tokenizer.eos_token_id is None:
            raise InputError(f"Tokenizer {self.name}: it has no end-of-sequence token; set eos_token.")
        if not hasattr(tokenizer, "backend_tokenizer"):
            raise InputError(f"Tokenizer {self.name}: it has no tokenizer.json; save it once as a fast tokenizer.")
        self.eos_id: int = tokenizer.eos_token_id
        self.bos_id: int | None = tokenizer.bos_token_id
        self.pad_id: int = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else self.eos_id

    @classmethod
    def load(cls, folder: str) -> HubTokenizer:
        """From a model folder or hub id. Raises InputError when there is no tokenizer."""
        folder = fetched(folder, without=(".safetensors",))
        if Path(folder).exists() and not _has_tokenizer(Path(folder)):
            raise InputError(
                f"Model folder {folder}: it holds no tokenizer (looked for tokenizer.json, tokenizer.model). "
                "Copy the tokenizer files of the base model into it."
            )
        try:
            return cls(_kind_of(Path(folder)).from_pretrained(folder))
        except InputError:
            raise
        except Exception as error:  # noqa: BLE001 (`tokenizers` raises plain Exception for a file it does not know)
            raise InputError(f"Tokenizer of '{folder}' could not be loaded: {_reason(error)}") from None

    @property
    def fingerprint(self) -> str:
        """Of vocabulary, special tokens and the ids of a probe: two tokenizers with the same one give the same ids."""
        probes = [encoder.encode(_PROBE, add_special_tokens=False).ids for encoder in self._encoders.values()]
        control = sorted(self.control_tokens.items())
        return content_hash([sorted(self._tokenizer.get_vocab().items()), self.eos_id, self.bos_id, control, probes])

    @cached_property
    def control_tokens(self) -> dict[str, int]:
        """Ids of the special tokens, and of added tokens that the chat template writes (Qwen's "<tool_call>")."""
        added = {token.content: i for i, token in self._tokenizer.added_tokens_decoder.items() if token.special}
        named = zip(self._tokenizer.all_special_tokens, self._tokenizer.all_special_ids, strict=True)
        template = "\n".join(_templates(self._tokenizer.chat_template))
        written = {
            token.content: i
            for i, token in self._tokenizer.added_tokens_decoder.items()
            if token.content.strip() and token.content in template  # Gemma has added tokens of mere newlines
        }
        return {**added, **dict(named), **written}

    def encode(self, text: str, follows: Follows = "start") -> list[int]:
        """Raises DataError for a tokenizer that gives a special token for plain text."""
        return self.encode_batch([text], follows)[0]

    def encode_batch(self, texts: Sequence[str], follows: Follows = "start") -> list[list[int]]:
        """`encode` of each, on all cores unless $TOKENIZERS_PARALLELISM is false, or by words that are known."""
        return (self._words or self._encode_whole)(texts, follows)

    def decode(self, ids: Sequence[int]) -> str:
        return self.show([i for i in ids if i not in self._control_ids])

    def show(self, ids: Sequence[int]) -> str:
        """Text for people, special tokens by their names."""
        text: str = self._tokenizer.decode(list(ids), clean_up_tokenization_spaces=False)
        return text

    def take_apart(self, ids: Sequence[int]) -> list[Piece]:
        """Special tokens by their ids, what stands between them as text."""
        pieces: list[Piece] = []
        start = 0
        for end, i in enumerate([*ids, None]):
            if i is None or i in self._control_ids:
                pieces += [self.show(ids[start:end])] if end > start else []
                pieces += [] if i is None else [i]
                start = end + 1
        return pieces

    def split(self, text: str) -> list[Piece]:
        """The text of a template: special tokens recognised, and the spaces gone that belong to them (Phi-3)."""
        pieces: list[Piece] = []
        for n, part in enumerate(self._control_pattern.split(text)):
            if n % 2:
                pieces.append(self.control_tokens[part if part in self.control_tokens else part.strip()])
            elif part:
                pieces.append(part)
        return pieces

    def chat_template(self, tools: Sequence[dict[str, Any]] | None = None) -> str:
        """Raises InputError where there is none."""
        if not self._tokenizer.chat_template:
            raise InputError(
                f"Tokenizer {self.name} has no chat template. Put its chat_template.jinja beside its tokenizer, "
                "or set student.renderer to plain, fireact-alpaca or llama2."
            )
        template: str = self._tokenizer.get_chat_template(tools=tools)
        return template

    def fill_template(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None, ask: bool) -> str:
        """`ask`: end with what asks for the assistant's reply. Raises InputError where the template refuses."""
        try:
            text: str = self._tokenizer.apply_chat_template(
                messages,
                tools=tools,
                chat_template=_NO_CLOCK + self.chat_template(tools),
                add_generation_prompt=ask,
                tokenize=False,
            )
        except Exception as error:  # noqa: BLE001 (a template calls what it likes, and raises what that raises)
            dated = "strftime_now" in self.chat_template(tools)
            hint = " It writes today's date: put a fixed one into its chat_template.jinja." if dated else ""
            raise InputError(f"The chat template of {self.name} failed: {_reason(error)}.{hint}") from None
        return text

    @cached_property
    def _encoders(self) -> dict[Follows, Any]:
        return plain_encoders(self._tokenizer.backend_tokenizer.to_str(), self.control_tokens)

    @cached_property
    def _words(self) -> WordEncoder | None:
        definition = self._tokenizer.backend_tokenizer.to_str()
        return WordEncoder(self._encode_whole) if is_cut_by_spaces(definition, self.control_tokens) else None

    def _encode_whole(self, texts: Sequence[str], follows: Follows) -> list[list[int]]:
        encodings = self._encoders[follows].encode_batch_fast(texts, add_special_tokens=False)
        rows: list[list[int]] = [encoding.ids for encoding in encodings]
        if not self._never_plain.isdisjoint(chain.from_iterable(rows)):
            text = next(t for t, ids in zip(texts, rows, strict=True) if not self._never_plain.isdisjoint(ids))
            raise DataError(f"Tokenizer {self.name} gives a special token for the plain text {text!r}.")
        return rows

    @cached_property
    def _control_ids(self) -> frozenset[int]:
        return frozenset(self.control_tokens.values())

    @cached_property
    def _never_plain(self) -> frozenset[int]:
        """Unknown characters may well be special."""
        return self._control_ids - {self._tokenizer.unk_token_id}

    @cached_property
    def _control_pattern(self) -> re.Pattern[str]:
        added = {token.content: token for token in self._tokenizer.added_tokens_decoder.values()}
        names = sorted(self.control_tokens, key=len, reverse=True)  # the longest first, as one may contain another
        return re.compile(f"({'|'.join(_pattern(name, added.get(name)) for name in names)})" if names else "(?!)")


def _reason(error: Exception) -> str:
    """One line; an error without words by its name."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def _pattern(name: str, token: Any) -> str:
    """`token`: how it was added, which says whether it swallows the spaces beside it."""
    before, after = token is not None and token.lstrip, token is not None and token.rstrip
    return (r"\s*" if before else "") + re.escape(name) + (r"\s*" if after else "")


def _templates(template: str | dict[str, str] | None) -> list[str]:
    """A tokenizer may have several chat templates, by name."""
    return list(template.values()) if isinstance(template, dict) else [template or ""]


def _kind_of(folder: Path) -> Any:
    """What AutoTokenizer would choose.

    To choose, it loads torch with the model's config: seconds of CPU and hundreds of MB in processes that only cut
    text. A Llama whose tokenizer is of no class of its own leaves it nothing to choose.
    """
    model, tokenizer = (_fields(folder / name) for name in ("config.json", "tokenizer_config.json"))
    is_plain = tokenizer.get("tokenizer_class") == _PLAIN and "auto_map" not in tokenizer
    if model.get("model_type") == "llama" and is_plain:
        from transformers import TokenizersBackend

        return TokenizersBackend
    from transformers import AutoTokenizer

    return AutoTokenizer


def _fields(file: Path) -> dict[str, Any]:
    """Of a JSON object; none where it cannot be read, which AutoTokenizer says in its own words."""
    try:
        found = parse(file.read_bytes())
    except (OSError, NotJson):
        return {}
    return found if isinstance(found, dict) else {}


def _has_tokenizer(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model"))
