"""What both ends of a connection share: where a server listens, and messages that hold many entries.

A message is one line of JSON, a list of entries. A call is [ticket, item] and called off by [ticket]; an answer is
[ticket, result] or [ticket, null, error class, error text]. Nothing is pickled: what comes over a connection cannot run
code. Pydantic writes and reads it, in less than half of the time of Python's own json (docs/architecture.md).
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import PydanticSerializationError, from_json, to_json

from fireact_ray.core.json_text import parse

_MESSAGE_EVERY_S = 0.002  # in the long run: what comes in between goes together
_SAVED = 8  # messages that a rest saves up, to leave without waiting
_KEPT = 4  # of these, for what comes together: the others leave at once, before anything else is done
_KEEP_ALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}  # a node that lost power is gone in 25 s


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens, and what it wants to hear first."""

    host: str
    port: int
    token: str = field(repr=False)


class Outbox:
    """Entries on their way out: each at once under a light load, else together with what comes until the next message
    is due."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._entries: list[bytes] = []
        self._due = self._loop.time()  # of the next message, if messages left at regular intervals

    def put(self, entry: list[Any]) -> None:
        # Encoded here, so that an entry that is no JSON fails in its own caller's hands.
        self._entries.append(_written(entry))
        if len(self._entries) > 1:
            return  # it goes with those that wait
        n_spent = (self._due - self._loop.time()) / _MESSAGE_EVERY_S
        if n_spent < _SAVED - _KEPT:
            self._send()
        else:
            self._loop.call_later(max(0.0, (n_spent - _SAVED) * _MESSAGE_EVERY_S), self._send)

    def _send(self) -> None:
        entries, self._entries = self._entries, []
        self._due = max(self._due, self._loop.time()) + _MESSAGE_EVERY_S
        if not self._transport.is_closing():
            self._transport.write(b"[%b]\n" % b",".join(entries))


class Lines:
    """The messages within what arrives piece by piece."""

    def __init__(self) -> None:
        self._begun: list[bytes] = []  # of a line without its end

    def entries(self, piece: bytes) -> Iterator[list[Any]]:
        """Of all messages that are whole with this piece. Raises NotJson."""
        first, *others = piece.split(b"\n")
        self._begun.append(first)
        for other in others:
            line, self._begun = b"".join(self._begun), [other]
            yield from _read(line)


def _written(entry: list[Any]) -> bytes:
    """Raises TypeError for what cannot be written. A set, a dataclass or bytes are: as a list, an object, a text."""
    try:
        return to_json(entry, inf_nan_mode="constants")
    except PydanticSerializationError:  # also half a character, which Python writes as an escape
        return json.dumps(entry).encode()


def _read(line: bytes) -> list[Any]:
    """Raises NotJson."""
    try:
        entries: list[Any] = from_json(line)
    except ValueError:  # also for half a character
        entries = parse(line)
    return entries


def keep_alive(transport: asyncio.BaseTransport) -> None:
    """Notice a peer that vanished without closing, as far as the operating system can."""
    peer: socket.socket = transport.get_extra_info("socket")
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE.items():
        if hasattr(socket, name):
            peer.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
