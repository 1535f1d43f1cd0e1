"""What a provider says in the body of a reply that failed, in whichever of many shapes, brought to one safe line.

A provider's text may hold anything: a key that it repeats, line breaks, control codes, a whole web page. Every field of
`ProviderWords` is one line of printable characters, masked by `secrets.redact` and then cut.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fireact_ray.core.net.http import NOT_JSON, read_json
from fireact_ray.core.secrets import redact

_MAX_CHARS, _MAX_WORD_CHARS = 300, 60
_MAX_READ = 20_000  # of a text that is cut anyway: far more than can be masked away
_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
_IS_PAGE = re.compile(r"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.I | re.S)
_HOLDERS = ("error", "detail", "errors", "fault", "base_resp")  # where a reply keeps what went wrong
_EMPTY_WORDS = ("Provider returned error",)  # of a router: what the provider said stands in metadata.raw

# How Google names what others give as a status.
_STATUS_NAMES = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}


@dataclass(frozen=True, slots=True)
class ProviderWords:
    """ "" and None stand for what is not said. `status`: the HTTP status that the body itself names. `reasons`: every
    word of the error that may say of what kind it is, in lower case. `headers`: those that a router passes on."""

    message: str = ""
    code: str = ""
    param: str = ""
    status: int | None = None
    reasons: frozenset[str] = frozenset()
    is_flagged: bool = False
    is_page: bool = False
    retry_delay: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    def line(self, status: int | None) -> str:
        """Such as `HTTP 400 unsupported_value (temperature): Unsupported value: ...`. None: there is no status."""
        head = "an error" if status is None else f"HTTP {status}"
        head += f" {self.code}" if self.code and self.code != str(status) else ""
        head += f" ({self.param})" if self.param else ""
        return f"{head}: {self.message}" if self.message else head

    def cause(self, status: int | None) -> str:
        """What every failure of this kind has in common: no text, which may hold a request's id."""
        parts = (str(status or ""), "" if self.code == str(status) else self.code, self.param)
        return " ".join(part for part in parts if part)


def read_words(body: bytes | None) -> ProviderWords:
    """From JSON of any shape, a web page or plain text. Nothing is said in an empty body."""
    found = read_json(body)
    if found is NOT_JSON:
        return _from_text((body or b"")[:_MAX_READ].decode("utf-8", "replace"))
    return words_of(found)


def words_of(found: Any) -> ProviderWords:
    """The same of a reply that was parsed already."""
    if isinstance(found, list):
        found = next((item for item in found if isinstance(item, dict | str)), {})
    if not isinstance(found, dict):
        return ProviderWords(one_line(found) if isinstance(found, str) else "")
    error = next((held for name in _HOLDERS if (held := found.get(name))), found)
    if isinstance(error, dict) and isinstance(deeper := error.get("error"), dict | str) and deeper:
        error = deeper  # {"detail": {"error": ...}}
    match error:
        case str() if (inside := _object_in(error)) is not None:
            return words_of(inside)
        case str():
            return _from_fields({**found, "message": error})
        case [dict(first), *_] if "loc" not in first:
            return _from_fields({**found, **first, "message": error})
        case [_, *_]:
            return _from_fields({**found, "message": error})
    if isinstance(error, dict) and (inside := _object_in(_text(error.get("message")))) is not None:
        return words_of(inside)
    outer = _from_fields(found)
    inner = _from_fields(error) if isinstance(error, dict) else outer
    return inner if inner.message or not outer.message else outer  # {"error": true, "message": ...}


def _object_in(text: str) -> dict[str, Any] | None:
    """The JSON object that a proxy passes on as a text: what it was told by the provider behind it."""
    inside = read_json(text.encode("utf-8", "replace")) if text.lstrip().startswith("{") else None
    return inside if isinstance(inside, dict) and inside else None


def error_in(reply: Any) -> Any:
    """The error that a reply holds beside or instead of a result, or None; `reply` is any JSON."""
    match reply:
        case [dict(first)]:
            return error_in(first)
        case {"error": error} if error:
            return error
        case {"object": "error"}:
            return reply
        case _:
            return None


def one_line(text: str, max_chars: int = _MAX_CHARS) -> str:
    """`text` on one line, without control characters and keys, cut at `max_chars`."""
    printable = "".join(c if c.isprintable() else " " if c.isspace() else "" for c in text[:_MAX_READ])
    line = redact(" ".join(printable.split()))
    return line if len(line) <= max_chars else f"{line[: max_chars - 3].rstrip()}..."


def _from_text(text: str) -> ProviderWords:
    if not _IS_PAGE.match(text):
        return ProviderWords(one_line(text))
    title = _TITLE.search(text)
    named = f" titled '{one_line(html.unescape(title[1]), 100)}'" if title and title[1].strip() else ""
    return ProviderWords(f"a web page{named}", is_page=True)


def _from_fields(error: Mapping[str, Any]) -> ProviderWords:
    metadata = found if isinstance(found := error.get("metadata"), dict) else {}
    message = _message(error)
    if message in ("", *_EMPTY_WORDS) and isinstance(raw := metadata.get("raw"), str) and raw:
        message = f"{message}: {raw}" if message else raw
    code, kind = _first(error, *_CODES), _first(error, "type", "status", "error_type", "__type")
    status = next(
        (s for s in (_status(error.get(name)) for name in ("code", "status", "statusCode", "status_code")) if s), None
    )
    headers = metadata.get("headers")
    return ProviderWords(
        message=one_line(message),
        code=kind if kind and (not code or code.isdigit()) else code,
        param=_word(error.get("param")),
        status=status,
        reasons=frozenset(word.lower() for word in _reasons(error)),
        is_flagged=bool(metadata.get("reasons") or metadata.get("flagged_input")),
        retry_delay=next((d for d in (_text(detail.get("retryDelay")) for detail in _details(error)) if d), ""),
        headers=tuple((str(k).lower(), str(v)) for k, v in headers.items()) if isinstance(headers, dict) else (),
    )


_CODES = ("code", "error_code", "errorcode", "status_code")
_MESSAGES = (
    *("message", "msg", "detail", "info", "title", "error", "error_msg", "reason", "Message", "error_message"),
    *("errorMessage", "faultstring", "status_msg", "description"),
)


def _message(error: Mapping[str, Any]) -> str:
    for name in _MESSAGES:
        match error.get(name):
            case str(text) if text.strip():
                return text
            case [*parts] if texts := [text for part in parts if (text := _part(part))]:
                return "; ".join(texts)
    return ""


def _part(part: Any) -> str:
    """Of FastAPI's list of what is wrong: each with the place where it is wrong."""
    if not isinstance(part, dict):
        return _text(part)
    place = part.get("loc")
    named = _word(place[-1]) if isinstance(place, list) and place else ""
    message = _text(part.get("msg")) or _text(part.get("message"))
    return f"{named}: {message}" if named and message else message


def _reasons(error: Mapping[str, Any]) -> Iterator[str]:
    """Codes and types, also those of the error's details."""
    inner = error.get("innererror") or error.get("inner_error")
    for part in (error, *_details(error), *([inner] if isinstance(inner, dict) else [])):
        for name in (*_CODES, "type", "status", "reason", "error_type", "__type"):
            if word := _word(part.get(name)):
                yield word


def _details(error: Mapping[str, Any]) -> list[dict[str, Any]]:
    details = error.get("details")
    return [detail for detail in details if isinstance(detail, dict)] if isinstance(details, list) else []


def _status(value: Any) -> int | None:
    if isinstance(value, str):
        value = int(value) if value.isascii() and value.isdigit() and len(value) == 3 else _STATUS_NAMES.get(value)
    return value if type(value) is int and 300 <= value <= 599 else None


def _word(value: Any) -> str:
    return one_line(str(value), _MAX_WORD_CHARS) if isinstance(value, str) or type(value) is int else ""


def _first(error: Mapping[str, Any], *names: str) -> str:
    return next((word for name in names if (word := _word(error.get(name)))), "")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
