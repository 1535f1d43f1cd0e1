"""What Ray's nodes tell the driver, in a line each: Ray prints all of it to stdout, a lost node's log in 45 lines.

Its core has a word of its own for every driver, on stderr, of the level of its logs that we set. Nobody asked.
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ray
import ray._private.worker as ray_worker

_LOST = re.compile(r"The node with node id: (\w+) and address: (\S+) .*has been marked dead")
_SAID_OTHERWISE = (
    "Raylet is terminated",  # by the node itself, with the end of its log
    "There are infinite retries remaining",  # of a worker that died: it is started again
)
_MAX_CHARS = 300
_LEVEL = b"Set ray log level from environment variable"

logger = logging.getLogger(__name__)


def log_ray_messages() -> None:
    """In place of printing. With log_to_driver=False nothing but these messages comes this way."""
    ray_worker.print_to_stdstream = _log


@contextmanager
def core_without_its_level() -> Iterator[None]:
    """While ray.init is within. Only the making of the core is listened to, in which no process is started."""
    core = ray._raylet.CoreWorker

    def made(*arguments: Any, **named: Any) -> Any:
        with _stderr_without(_LEVEL):
            return core(*arguments, **named)

    ray._raylet.CoreWorker = made
    try:
        yield
    finally:
        ray._raylet.CoreWorker = core


@contextmanager
def _stderr_without(sign: bytes) -> Iterator[None]:
    """Lines that hold `sign` are left out of what is written within; the others come at its end."""
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            written.seek(0)
            os.write(2, b"".join(line for line in written if sign not in line))


def in_a_line(message: str) -> str | None:
    """None: another message says it."""
    if found := _LOST.search(message):
        return f"node {found[2]} ({found[1][:8]}) was lost; its work goes to others"
    if any(sign in message for sign in _SAID_OTHERWISE):
        return None
    first = next((line.strip() for line in message.splitlines() if line.strip()), "")
    return f"Ray: {first[:_MAX_CHARS]}" if first else None


def _log(data: Mapping[str, Any], ignore_prefix: bool) -> None:
    for message in data["lines"]:
        logger.debug("%s", message)
        if (line := in_a_line(message)) is not None:
            logger.warning("%s", line)
