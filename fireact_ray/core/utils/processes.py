"""Who a process is, in words that another process can check: a pid alone is given to another one later."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """`place`: the boot and the container where its pid counts; `started` tells it from a later one of that pid."""

    host: str
    place: str
    pid: int
    started: str


def this_process() -> Process:
    pid = os.getpid()
    return Process(socket.gethostname(), _place(), pid, _started(pid) or "")


def is_alive(process: Process) -> bool | None:
    """None where it lives in another place, so that nobody here can tell. A zombie is dead."""
    if process.place != _place():
        return None
    return _started(process.pid) == process.started


def _place() -> str:
    """Containers of one machine share its boot, and a restarted one its host name: pids are counted by namespace."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {(_PROC / 'self/ns/pid').readlink()}"
    except OSError:  # no Linux
        return socket.gethostname()


def _started(pid: int) -> str | None:
    """When it started, in ticks since the boot; None where there is no such process. Without /proc every process that
    there is has the empty time."""
    if not (_PROC / "self/stat").is_file():
        return "" if _exists(pid) else None
    try:
        state, *fields = (
            (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
    except OSError:
        return None
    return None if state in "ZX" else fields[18]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
