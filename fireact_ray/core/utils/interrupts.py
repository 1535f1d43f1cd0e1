"""Ctrl-C and SIGTERM: each ends the command, at once or at the end of a wait, and none is lost.

An exception that a signal raises at any moment is lost where that moment belongs to a callback: of a fork, of the
garbage collector, of Ray. So handlers take note of every signal: the next wait ends by it, at the latest the command.

A signal that is ignored stays so. But a shell without job control, such as that of a script, starts what stands in the
background with SIGINT ignored, as a Ctrl-C at the terminal is not for it: where there is no terminal, as under cron, CI
or `setsid`, who sends it means this command.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

Step = TypeVar("Step")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_noted: list[int] = []  # what came in the command that runs now
_commands = 0  # that run now, one within the other


@contextmanager
def interrupts_heeded() -> Iterator[None]:
    """Around a command: both signals raise KeyboardInterrupt. Where a callback or a library swallowed it, the end does.

    Handlers are afterwards what they were before, whatever a library has installed.
    """
    global _commands
    _noted.clear()
    _commands += 1
    try:
        with _handlers(_note_and_raise):
            yield
    finally:
        _commands -= 1
        came = bool(_noted)
        _noted.clear()
        if came:
            raise KeyboardInterrupt


@contextmanager
def interrupts_wait() -> Iterator[Callable[[], bool]]:
    """Ctrl-C and SIGTERM wait for the end, which raises KeyboardInterrupt; a second one raises it at once.

    Gives a function that says whether one came, be it before. Errors of what was interrupted give way to the interrupt.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: bool(_noted)
        return
    came: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if _commands:  # what the wait raises may be turned into anything, too
            _noted.append(number)
        if len(came) > 1:
            raise KeyboardInterrupt

    try:
        with _handlers(remember):
            yield lambda: bool(came or _noted)
    finally:
        # Not by the handler from before: a library's, such as Ray Train's, may do anything but raise.
        if came or _noted:
            raise KeyboardInterrupt


def heeded(steps: Iterable[Step]) -> Iterator[Step]:
    """The steps of a library whose callbacks may swallow the exception of an interrupt: raises KeyboardInterrupt before
    the next step, and behind the last one, where an interrupt has come."""
    for step in steps:
        _raise_noted()
        yield step
    _raise_noted()


def ctrl_c_is_ignored() -> bool:
    """Whether it was for what started this process, and stays so."""
    return signal.getsignal(signal.SIGINT) == signal.SIG_IGN and _has_terminal()


def _raise_noted() -> None:
    if _noted:
        raise KeyboardInterrupt


def _note_and_raise(number: int, frame: FrameType | None) -> None:
    _noted.append(number)
    raise KeyboardInterrupt


@contextmanager
def _handlers(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """In place of those from before, which come back at the end: ray.init and Ray Train replace them, too."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number, old in before.items():
        if old != signal.SIG_IGN or (number == signal.SIGINT and not _has_terminal()):
            signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in before.items():
            if old is not None:  # None: not installed by Python, which cannot put it back
                signal.signal(number, old)


def _has_terminal() -> bool:
    """Whether there is one whose Ctrl-C reaches this process."""
    try:
        os.close(os.open(os.ctermid(), os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
