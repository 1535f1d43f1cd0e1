"""The journal: every paid reply is on disk before it is used, so that no work is paid for twice.

A writer appends one line per reply to a file of its own:

    <crc32 of the rest, 8 hex digits> {"id": <trajectory>, "call": "model/2/<hash of what was asked>", "reply": {...}}

A rollout that was killed is simply run again: calls whose reply stands in the journal are answered from there, and the
first call without one is the first that is made. A line that is torn or damaged counts as not written.

On a disk a line is safe when it is put. In a bucket it is when `kept` returns, which a rollout waits for before it uses
the reply: replies that come while the one before is on its way go together (core.storage.appending).
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from fireact_ray.agent.quota.budget import Spent
from fireact_ray.core.errors import InputError
from fireact_ray.core.json_text import parse
from fireact_ray.core.storage.appending import appended_lines, held, open_appended
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.types import Usage
from fireact_ray.core.utils.failpoints import reach
from fireact_ray.core.utils.waiting import said_while_waiting

_encode = json.JSONEncoder(separators=(",", ":")).encode
_CRC_CHARS = 9  # eight digits and a space
_ENDING_S, _LOOK_S = 60.0, 0.2

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """One paid reply, or (`error`) the failure with which a call ended after all its tries."""

    trajectory_id: str
    call: str
    reply: dict[str, Any] | None = None
    error: tuple[str, str] | None = None  # class and message


class Journal:
    """What one writer appends. Raises WriteFailed; nothing may then be put any more."""

    def __init__(self, folder: Folder, writer: str) -> None:
        self._file = open_appended(folder, writer)
        self._keeping = asyncio.Lock()
        self._n_put, self._n_kept = 0, 0

    def put(self, entry: Entry) -> None:
        found = {"reply": entry.reply} if entry.error is None else {"error": list(entry.error)}
        body = _encode({"id": entry.trajectory_id, "call": entry.call, **found}).encode()
        self._file.append(b"%08x %s\n" % (zlib.crc32(body), body))
        self._n_put += 1
        reach("reply-journaled")

    async def kept(self) -> None:
        """Returns when all that was put before survives this process, and on a cluster this node."""
        if self._file.kept_at_once:
            return
        n_put = self._n_put
        async with self._keeping:
            if self._n_kept < n_put:
                n_now = self._n_put
                await asyncio.to_thread(self._file.keep)
                self._n_kept = n_now

    def close(self) -> None:
        """Keeps what was put."""
        self._file.close()


def read_journal(folder: Folder, writer: str = "", wanted: Callable[[str], bool] = lambda key: True) -> Iterator[Entry]:
    """Entries of all writers whose name begins with `writer`, of trajectories that are `wanted`.

    Damaged lines are left out and counted in a warning; their replies are paid for again.
    """
    n_damaged = 0
    for line in appended_lines(folder, writer):
        key = line[_CRC_CHARS + 7 : line.find(b'"', _CRC_CHARS + 7)].decode(errors="replace")  # after {"id":"
        if not wanted(key):
            continue
        entry = _entry(line)
        if entry is None:
            n_damaged += 1
        else:
            yield entry
    if n_damaged:
        logger.warning("%s: %d damaged lines; what stood there is asked for again", folder.uri, n_damaged)


def await_writers(folder: Folder, wait: Callable[[float], None] = time.sleep) -> None:
    """Returns when nobody writes there. Workers whose driver was killed need a second or two to miss it, and go on
    paying: whoever reads what is paid for before they end pays for the rest once more. Raises InputError after a
    minute."""

    def at_work() -> str:
        return f"{len(held(folder))} workers of the run before, which was killed, to end"

    with said_while_waiting(folder.uri, at_work):
        for _ in range(int(_ENDING_S / _LOOK_S)):
            if not held(folder):
                return
            wait(_LOOK_S)
    names = ", ".join(held(folder))
    raise InputError(
        f"{folder.uri}: processes of the run before still write {names}, {_ENDING_S:.0f} s after its driver died. Two "
        "runs in one folder would pay twice. Stop them (ray::RolloutWorker; `fuser` names who has the file), and run "
        "this command again."
    )


def paid_for(folder: Folder) -> Spent:
    """Everything that a folder of journals has been paid for: each model reply once. A missing folder holds nothing."""
    return sum((spent for _, spent in _paid(folder)), Spent())


def paid_by_row(folder: Folder) -> dict[str, Spent]:
    """The same by the key of the trajectory, rows that never became whole included."""
    paid: defaultdict[str, Spent] = defaultdict(Spent)
    for key, spent in _paid(folder):
        paid[key] += spent
    return dict(paid)


def _paid(folder: Folder) -> Iterator[tuple[str, Spent]]:
    for entry in read_journal(folder):
        if entry.reply is not None and entry.call.startswith("model/"):
            yield entry.trajectory_id, Spent(1, Usage(**entry.reply["usage"]))


def _entry(line: bytes) -> Entry | None:
    body = line[_CRC_CHARS:]
    if line[: _CRC_CHARS - 1] != b"%08x" % zlib.crc32(body):
        return None
    row = parse(body)
    error = row.get("error")
    return Entry(row["id"], row["call"], row.get("reply"), None if error is None else (error[0], error[1]))
