"""Processes that a library starts for us end when this one does, however it ends: a SIGKILL leaves no time to end them.

A small process of our own waits for that. It knows them by a mark in the environment that they began with, so that none
is missed that starts later, or that another of them starts. Linux only.
"""

from __future__ import annotations

import os
import subprocess
import sys
import uuid

_MARK = "FIREACT_ENDS_WITH"
_WAITER = """
import os, signal, sys, time

def marked():
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as environment:
                if sys.argv[1].encode() in environment.read().split(b"\\0"):
                    yield int(pid)
        except OSError:  # it has ended, or is another user's
            pass

sys.stdin.buffer.read()  # until the other end is closed: by us, or by our death
while found := list(marked()):
    for pid in found:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    time.sleep(0.01)
"""


class EndedWithUs:
    """From now on what this process starts by `exec` with its environment is killed at `close`, or at its own end."""

    def __init__(self) -> None:
        mark = f"{_MARK}={uuid.uuid4().hex}"
        self._waiter = subprocess.Popen(
            [sys.executable, "-ISc", _WAITER, mark], stdin=subprocess.PIPE, env={}, start_new_session=True
        )
        os.environ[_MARK] = mark.partition("=")[2]

    def close(self) -> None:
        """Returns once all of them have ended."""
        self._waiter.communicate()
