"""Secrets: read by name where they are used, masked wherever text leaves us.

A key is named by an environment variable or a file. Whatever was read here is known from then on, and `redact` masks it
in any text, as it is, as a URL, JSON or HTML spells it, and where a provider shows a part of it. Text from elsewhere is
masked by its shape (`api_key=...`, `sk-...`).
"""

from __future__ import annotations

import html
import json
import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus

from fireact_ray.core.errors import InputError

MASK = "[redacted]"

_SHORTEST = 8  # a shorter value would mask ordinary words, and protects nothing
_SECRET_NAME = re.compile(r"(API_?KEY|TOKEN|SECRET|PASSWORD)$")
_KEY_HEADS = r"(?:sk-|gsk_|xai-|tvly-|csk-|nvapi-|pplx-|hf_|AIza)"  # how providers begin their keys
_SHAPES = (
    (re.compile(r"(?i)\b((?:api[_-]?key|access[_-]?token|token|secret|password)=)[^&\s\"'<>]+"), rf"\1{MASK}"),
    (re.compile(r"(?i)\b(bearer\s+)[\w.~+/=-]{8,}"), rf"\1{MASK}"),
    (re.compile(r"(://)[^/\s@\"']+@"), rf"\1{MASK}@"),
    (re.compile(rf"(?<![A-Za-z]){_KEY_HEADS}[\w%*.\u2026-]{{5,}}[\w*]"), MASK),
    (re.compile(r"(?<![\w-])[\w-]{0,200}\*{3,}[\w*-]{0,200}\w"), MASK),  # its ends: abcd***6789, ****6789
)
_known: set[str] = set()
_known_parts: dict[str, re.Pattern[str]] = {}


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Where a key stands, not the key: safe to print and to pickle. `asked_by` opens the error of a missing one."""

    env: str | None
    file: str | None
    asked_by: str

    def read(self) -> str:
        return read_api_key(self.env, self.file, self.asked_by)


def read_api_key(env: str | None, file: str | None, asked_by: str) -> str:
    """The key from the named environment variable or file, read at use. Raises InputError when it is missing."""
    if file is not None:
        path = Path(file).expanduser()
        if path.is_file() and (key := path.read_text(encoding="utf-8").strip()):
            return _usable(key, f"the file {path}", asked_by)
        raise InputError(
            f"{asked_by} reads its key from the file {path}, which is missing or empty. Write the key there."
        )
    if env is None:
        return "none-needed"  # local servers want some string
    if key := os.environ.get(env, "").strip():
        return _usable(key, f"the environment variable {env}", asked_by)
    raise InputError(
        f"{asked_by} reads its key from the environment variable {env}, which is not set: export {env}=..."
    )


def _usable(key: str, place: str, asked_by: str) -> str:
    remember(key)
    if not key.isprintable() or " " in key:  # it could not be sent: no header holds a line break
        raise InputError(
            f"{asked_by} reads its key from {place}, which holds more than a key. Write the key alone there."
        )
    return key


def remember(value: str) -> None:
    """From now on `redact` masks this value, also as URLs, JSON and HTML spell it, and where a part of it is shown."""
    if len(value) >= _SHORTEST:
        in_urls = {quote(value), quote(value, safe=""), quote_plus(value)}
        _known.update({value, *in_urls, json.dumps(value)[1:-1], html.escape(value)})
        head, long_head = re.escape(value[:4]), re.escape(value[: max(12, len(value) // 2)])
        # Its beginning and a gap (abcd...6789), or half of it and more (cut off by a limit).
        _known_parts[value] = re.compile(
            rf"{head}[\w-]{{0,200}}(?:\.{{2,}}|\u2026|\*{{2,}})[\w*-]*|{long_head}[\w%*.-]*"
        )


def remember_environment() -> None:
    """Know the values of all variables named like secrets (..._API_KEY, ..._TOKEN), whether or not we use them."""
    for name, value in os.environ.items():
        if _SECRET_NAME.search(name.upper()):
            remember(value)


def redact(text: str) -> str:
    """`text` without any known secret, and without what stands where secrets stand."""
    for value in sorted(_known, key=len, reverse=True):
        text = text.replace(value, MASK)
    for part in _known_parts.values():
        text = part.sub(MASK, text)
    for shape, masked in _SHAPES:
        text = shape.sub(masked, text)
    return text


class RedactingFilter(logging.Filter):
    """Masks secrets in a record's message and traceback. Belongs on handlers: a logger's filter misses its children."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
        return True
