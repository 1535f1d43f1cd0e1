"""What every way in shares: logging and exit codes."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.logging import RichHandler

from fireact_ray.core.errors import FireActError
from fireact_ray.core.secrets import RedactingFilter, redact, remember_environment
from fireact_ray.core.storage.buckets import StoreError
from fireact_ray.core.utils.interrupts import ctrl_c_is_ignored, interrupts_heeded

logger = logging.getLogger(__name__)

INTERRUPTED = 130
_HOW_TO_INTERRUPT = "A shell started this in the background, where Ctrl-C does nothing: kill %d interrupts it"
_HOW_TO_GO_ON = "Interrupted. Nothing finished is lost: run the same command again to go on."


def run_guarded(action: Callable[[], Any]) -> None:
    """Run `action`; an error of this package ends the process with its message and exit code, without a traceback.

    Ctrl-C and SIGTERM end it with 130, whatever became of the action.
    """
    _print_any_character()
    _configure_logging()
    if ctrl_c_is_ignored():
        logger.warning(_HOW_TO_INTERRUPT, os.getpid())
    try:
        with interrupts_heeded():
            _act(action)
    except KeyboardInterrupt:
        print(_HOW_TO_GO_ON, file=sys.stderr)
        sys.exit(INTERRUPTED)


def _act(action: Callable[[], Any]) -> None:
    try:
        action()
    except FireActError as error:
        print(redact(str(error)), file=sys.stderr)
        sys.exit(error.exit_code)
    except StoreError as error:
        print(redact(f"{error}. What is written there is kept: run the same command again."), file=sys.stderr)
        sys.exit(FireActError.exit_code)


def _print_any_character() -> None:
    """What a terminal's encoding (ASCII, Latin-1) has no sign for is shown as an escape; nothing ends for it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _configure_logging() -> None:
    """Our own lines on stderr: a rich handler on a terminal, plain in a log. Libraries speak from WARNING on."""
    console = Console(stderr=True)
    plain = logging.StreamHandler()
    plain.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    on_terminal = RichHandler(console=console, show_path=False, show_level=False)
    handler = on_terminal if console.is_terminal else plain
    remember_environment()
    handler.addFilter(RedactingFilter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("fireact_ray").setLevel(logging.INFO)
