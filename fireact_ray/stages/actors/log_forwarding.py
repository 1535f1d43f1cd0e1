"""Warnings of actors, anywhere in the cluster, reach the driver's log: through Ray's key-value store, so that a run
without warnings pays nothing for it.

Without this they would stand in a worker's log file only: Ray's own way to the driver (log_to_driver) shows every line
of every library.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import ray
from ray.exceptions import RayError
from ray.experimental.internal_kv import _internal_kv_del, _internal_kv_get, _internal_kv_list, _internal_kv_put

from fireact_ray.core.secrets import RedactingFilter, remember_environment

_NAMESPACE = "fireact_warnings"
_AGAIN_S = 60.0  # until the same text is shown again
_POLL_S = 1.0
_ENDING_S = 3.0

logger = logging.getLogger(__name__)


def forward_warnings() -> None:
    """Called by an actor when it begins. What `fireact_ray` warns of in its process goes to the driver from now on."""
    ours = logging.getLogger("fireact_ray")
    if not any(isinstance(handler, _ToDriver) for handler in ours.handlers):
        remember_environment()
        ours.addHandler(_ToDriver())


@contextmanager
def warnings_shown() -> Iterator[None]:
    """In the driver: warnings of this job's actors are logged here, each text once a minute at most."""
    over, seldom, prefix = threading.Event(), Seldom(), _prefix()

    def poll() -> None:
        while not over.wait(_POLL_S):
            _show(prefix, seldom)

    poller = threading.Thread(target=poll, name="warnings", daemon=True)
    poller.start()
    try:
        yield
    finally:
        over.set()
        poller.join(_ENDING_S)  # a cluster that has gone answers late
        if not poller.is_alive():
            _show(prefix, seldom)


class Seldom:
    """Whether a text is to be shown now: the same one not again within a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._shown: dict[str, float] = {}

    def __call__(self, text: str) -> bool:
        now = self._clock()
        self._shown = {known: at for known, at in self._shown.items() if now - at < _AGAIN_S}
        if text in self._shown:
            return False
        self._shown[text] = now
        return True


class _ToDriver(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.addFilter(RedactingFilter())
        self._seldom, self._prefix = Seldom(), _prefix()

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        if self._seldom(text):
            # By time first: the driver shows them in this order.
            key = f"{self._prefix}{time.time_ns():020}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
            try:
                _internal_kv_put(key.encode(), text.encode("utf-8", "replace"), namespace=_NAMESPACE.encode())
            except RayError:
                self.handleError(record)


def _prefix() -> str:
    return f"{ray.get_runtime_context().get_job_id()}:"


def _show(prefix: str, seldom: Seldom) -> None:
    space = _NAMESPACE.encode()
    try:
        for key in sorted(_internal_kv_list(prefix.encode(), namespace=space)):
            text = (_internal_kv_get(key, namespace=space) or b"").decode()
            _internal_kv_del(key, namespace=space)
            if text and seldom(text):
                logger.warning("%s", text)
    except RayError:  # the cluster has gone: the run itself says so
        logger.debug("warnings of actors", exc_info=True)
