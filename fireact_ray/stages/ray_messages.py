"""What Ray's nodes tell the driver, in a line each: Ray prints all of it to stdout, a lost node's log in 45 lines."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

import ray._private.worker as ray_worker

_LOST = re.compile(r"The node with node id: (\w+) and address: (\S+) .*has been marked dead")
_SAID_OTHERWISE = (
    "Raylet is terminated",  # by the node itself, with the end of its log
    "There are infinite retries remaining",  # of a worker that died: it is started again
)
_MAX_CHARS = 300

logger = logging.getLogger(__name__)


def log_ray_messages() -> None:
    """In place of printing. With log_to_driver=False nothing but these messages comes this way."""
    ray_worker.print_to_stdstream = _log


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
