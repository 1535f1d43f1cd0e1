"""One HTTP request -> its whole reply, or why there is none: shared by the clients of the teacher and of web search.

Bounded in time and size; follows no redirect, which could carry a key to another host; keeps no cookie; tries once.
What went wrong comes back as a value: an aiohttp error holds the URL, and one raised while it is handled carries it on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from fireact_ray.core.errors import InputError
from fireact_ray.core.json_text import NotJson, parse
from fireact_ray.core.net.proxies import proxy_for

MAX_REPLY_BYTES = 4_000_000
NOT_JSON = object()

_ERRNO = re.compile(r"Errno (\d+)")

USER_AGENT = "fireact_ray/0.1"  # Wikimedia refuses clients without a name
_HEADERS = {"User-Agent": USER_AGENT, "Accept": "application/json"}


@dataclass(frozen=True, slots=True)
class HttpReply:
    """`headers` finds names in any case. `body` is None where it is longer than MAX_REPLY_BYTES."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class NoReply:
    """`problem`: why, in a few words, with host and port where a connection failed; nothing else of the request."""

    problem: str


class HttpSession:
    """Keeps connections alive. Opens on the event loop that first uses it; pickles closed.

    `timeout_s` bounds a request from its connection to its last byte, not its waiting for one of `max_connections`.
    """

    def __init__(self, timeout_s: float, max_connections: int | None = None) -> None:
        self._timeout_s, self._max_connections = timeout_s, max_connections
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._slots: contextlib.AbstractAsyncContextManager[Any] = contextlib.nullcontext()
        self._proxies: dict[tuple[str, str], str | None] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return HttpSession, (self._timeout_s, self._max_connections)

    async def send(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        form: aiohttp.FormData | None = None,
    ) -> HttpReply | NoReply:
        """`body` goes as JSON; `form`, instead of it, as what a browser uploads."""
        session = self._open()
        async with self._slots:
            try:
                async with session.request(
                    method,
                    url,
                    params=params,
                    headers=headers,
                    json=body,
                    data=form,
                    allow_redirects=False,
                    proxy=self._proxy(url),
                ) as response:
                    return HttpReply(response.status, response.headers, await _bounded(response.content))
            except TimeoutError:
                return NoReply(f"no reply within {self._timeout_s:g} s")
            except InputError as error:  # of a proxy
                return NoReply(str(error))
            except (aiohttp.ClientError, OSError) as error:
                return NoReply(problem_of(error))

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        if self._session is None or self._session.closed or self._loop is not loop:
            self._loop = loop
            if self._max_connections is not None:  # not aiohttp's own limit: its time-out counts the waiting
                self._slots = asyncio.Semaphore(self._max_connections)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=_HEADERS,
            )
            # aiohttp repeats a GET whose connection was reset, and has no public switch: our callers own all retries.
            self._session._retry_connection = False
        return self._session

    def _proxy(self, url: str) -> str | None:
        """Read once for each host; aiohttp's own reading of them takes a thread per request."""
        place = urlsplit(url)[:2]
        if place not in self._proxies:
            self._proxies[place] = proxy_for(os.environ, url)
        return self._proxies[place]


def read_json(body: bytes | None) -> Any:
    """NOT_JSON where it is torn, not UTF-8, nested without end, too long, or no JSON at all."""
    try:
        return parse(body or b"")
    except NotJson:
        return NOT_JSON


def problem_of(error: Exception) -> str:
    """In words that hold no URL; what aiohttp itself says of an error may hold one."""
    match error:
        case aiohttp.ClientConnectorDNSError():
            return f"the name of the host is not found ({error.host})"
        case aiohttp.ClientConnectorCertificateError():
            reason = getattr(error.certificate_error, "verify_message", "") or "it does not fit the host"
            return f"the TLS certificate is refused: {reason} ({error.host}:{error.port})"
        case aiohttp.ClientConnectorSSLError():
            reason = getattr(error.os_error, "reason", None) or "handshake failed"
            return f"no TLS: {reason} ({error.host}:{error.port})"
        case aiohttp.ClientProxyConnectionError():
            return f"{_system_words(error.os_error)} by the proxy ({error.host}:{error.port})"
        case aiohttp.ClientConnectorError():
            return f"{_system_words(error.os_error)} ({error.host}:{error.port})"
        case aiohttp.ClientHttpProxyError():
            return f"the proxy answers HTTP {error.status}"
        case aiohttp.ServerDisconnectedError():
            return "the server closed the connection without a reply"
        case aiohttp.ClientPayloadError():
            return "the reply broke off"
        case aiohttp.InvalidURL():
            return "the address is no URL that can be asked"
        case aiohttp.ClientResponseError():
            return "the reply is no HTTP"
        case OSError():
            return _system_words(error)
        case _:
            return type(error).__name__


def _system_words(error: OSError) -> str:
    """Such as "connection refused"; where several addresses were tried, asyncio keeps the numbers in its text."""
    number = _ERRNO.search(str(error))
    code = error.errno or (int(number[1]) if number else None)
    return os.strerror(code).lower() if code and code > 0 else "no connection"


async def _bounded(content: aiohttp.StreamReader) -> bytes | None:
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > MAX_REPLY_BYTES:
            return None
    return bytes(body)
