"""The journal: every paid reply is on disk before it is used, so that no work is paid for twice.

A writer appends one line per reply to a file of its own:

    <crc32 of the rest, 8 hex digits> {"id": <trajectory>, "call": "model/2/<hash of what was asked>", "reply": {...}}

A rollout that was killed is simply run again: calls whose reply stands in the journal are answered from there, and the
first call without one is the first that is made. A line that is torn or damaged counts as not written. On a local or
mounted run folder the file is written in place; on a remote one it is spooled on the node's disk and shipped there in
segments every second, so that a lost node costs at most the replies of that second.
"""

from __future__ import annotations

import errno
import json
import logging
import shutil
import tempfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fireact_ray.agent.quota.budget import Spent
from fireact_ray.core.errors import WriteFailed
from fireact_ray.core.json_text import parse
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.types import Usage
from fireact_ray.core.utils.failpoints import reach

_encode = json.JSONEncoder(separators=(",", ":")).encode
_CRC_CHARS = 9  # eight digits and a space

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """One paid reply, or (`error`) the failure with which a call ended after all its tries."""

    trajectory_id: str
    call: str
    reply: dict[str, Any] | None = None
    error: tuple[str, str] | None = None  # class and message


class Journal:
    """The file of one writer. `put` returns when the reply is with the operating system: it survives this process.

    Raises WriteFailed; nothing may then be put any more.
    """

    def __init__(self, folder: Folder, writer: str) -> None:
        self._folder, self._writer = folder, writer
        self._ships = not folder.is_local
        home = Path(tempfile.mkdtemp(prefix="fireact-journal-")) if self._ships else folder.local_path
        home.mkdir(parents=True, exist_ok=True)
        self._file = (home / f"{writer}.jsonl").open("ab", buffering=0)
        self._unshipped = bytearray()
        self._n_segments = 0

    def put(self, entry: Entry) -> None:
        found = {"reply": entry.reply} if entry.error is None else {"error": list(entry.error)}
        body = _encode({"id": entry.trajectory_id, "call": entry.call, **found}).encode()
        line = b"%08x %s\n" % (zlib.crc32(body), body)
        try:
            whole = self._file.write(line) == len(line)
        except OSError as error:
            raise WriteFailed.of(self._file.name, error) from None
        if not whole:
            raise WriteFailed.of(self._file.name, OSError(errno.ENOSPC, ""))
        if self._ships:
            self._unshipped += line
        reach("reply-journaled")

    def ship(self) -> None:
        """Bring to a remote run folder what was put since the last time. Called now and then, from a thread."""
        segment, self._unshipped = bytes(self._unshipped), bytearray()
        if segment:
            self._folder.write(f"{self._writer}-{self._n_segments:06}.jsonl", segment)
            self._n_segments += 1

    def close(self) -> None:
        self.ship()
        self._file.close()
        if self._ships:
            shutil.rmtree(Path(self._file.name).parent)  # all of it is in the run folder now


def read_journal(folder: Folder, writer: str = "", wanted: Callable[[str], bool] = lambda key: True) -> Iterator[Entry]:
    """Entries of all writers whose name begins with `writer`, of trajectories that are `wanted`.

    Damaged lines are left out and counted in a warning; their replies are paid for again.
    """
    n_damaged = 0
    for name in folder.names(".jsonl"):
        if not name.startswith(writer):
            continue
        for line in folder.lines(name):
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
