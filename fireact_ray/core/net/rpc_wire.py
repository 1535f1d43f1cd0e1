"""What both ends of a connection share: where a server listens, and messages that hold many entries.

A message is one line of JSON, a list of entries. A call is [ticket, item] and called off by [ticket]; an answer is
[ticket, result] or [ticket, null, error class, error text]. Nothing is pickled: what comes over a connection cannot run
code.
"""

from __future__ import annotations

import asyncio
import json
import math
import socket
from dataclasses import dataclass, field
from typing import Any

MAX_LINE_BYTES = 1 << 30  # of a message: a reader's buffer, not a limit that is ever met

_MESSAGE_EVERY_S = 0.002  # at most: what comes in between goes together
_KEEP_ALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}  # a node that lost power is gone in 25 s


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens, and what it wants to hear first."""

    host: str
    port: int
    token: str = field(repr=False)


class Outbox:
    """Entries on their way out: at once after a rest, else together with what comes until the next message is due."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._entries: list[str] = []
        self._sent_at = -math.inf

    def put(self, entry: list[Any]) -> None:
        # Encoded here, so that an entry that is no JSON fails in its own caller's hands.
        self._entries.append(json.dumps(entry))
        if len(self._entries) == 1:
            self._loop.call_at(max(self._loop.time(), self._sent_at + _MESSAGE_EVERY_S), self._send)

    def _send(self) -> None:
        entries, self._entries = self._entries, []
        self._sent_at = self._loop.time()
        if not self._writer.is_closing():
            self._writer.write(f"[{','.join(entries)}]\n".encode())


def keep_alive(writer: asyncio.StreamWriter) -> None:
    """Notice a peer that vanished without closing, as far as the operating system can."""
    peer: socket.socket = writer.get_extra_info("socket")
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE.items():
        if hasattr(socket, name):
            peer.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
