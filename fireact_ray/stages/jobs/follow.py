"""A job's log until the job has ended, whatever becomes of the connection meanwhile.

Ray ends the stream of a log in order when a head restarts, a proxy gives up or a node is lost, so the end of a stream
says nothing: a job has ended when its status says so (github.com/ray-project/ray/issues/51601, 57002, 60665).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol

from fireact_ray.core.errors import DataError
from fireact_ray.stages.jobs.names import ENDED

_LOOK_S = 1.0
_PATIENCE_S = 120.0  # without a word of the job server
STOPPED = 130


class JobClient(Protocol):
    """What is used of Ray's."""

    def get_job_info(self, job_id: str) -> Any: ...

    def get_job_logs(self, job_id: str) -> str: ...

    def tail_job_logs(self, job_id: str) -> Any: ...


class Log:
    """The text of a log, which every connection sends from its beginning: each part is written once."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write, self._written, self._at = write, 0, 0

    def begin(self) -> None:
        """A new connection."""
        self._at = 0

    def add(self, text: str) -> None:
        new = text[max(0, self._written - self._at) :]
        self._at += len(text)
        if new:
            self._written += len(new)
            self._write(new)


def follow(
    client: JobClient,
    job: str,
    write: Callable[[str], None],
    enough: Callable[[Any], bool] = lambda details: False,
    patience_s: float = _PATIENCE_S,
) -> Any:
    """Writes the log until the job has ended, or its details are `enough`; returns the details.

    Raises DataError where the job server does not answer for so long; the job may well go on.
    """
    return asyncio.run(_follow(client, job, Log(write), enough, patience_s))


def exit_code(details: Any) -> int:
    """Of a job that has ended: its driver's. 130 where it was stopped, as by Ctrl-C."""
    if details.status == "SUCCEEDED":
        return 0
    if details.status == "STOPPED":
        return STOPPED
    return int(details.driver_exit_code or 1)


async def _follow(client: JobClient, job: str, log: Log, enough: Callable[[Any], bool], patience_s: float) -> Any:
    heard = time.monotonic()
    tail: asyncio.Task[None] | None = None
    try:
        while True:
            try:
                details = await asyncio.to_thread(client.get_job_info, job)
                heard = time.monotonic()
                if details.status in ENDED:
                    log.begin()
                    log.add(await asyncio.to_thread(client.get_job_logs, job))
                    return details
                if enough(details):
                    return details
            except (RuntimeError, OSError) as error:  # as Ray's client and requests raise them
                if time.monotonic() - heard > patience_s:
                    raise DataError(
                        f"The job server has not answered for {patience_s:.0f} s ({type(error).__name__}). The job "
                        f"{job} may go on: look for it when the cluster can be reached."
                    ) from None
            if tail is None or tail.done():
                tail = asyncio.create_task(_tail(client, job, log))
            await asyncio.sleep(_LOOK_S)
    finally:
        if tail is not None:
            tail.cancel()
            await asyncio.gather(tail, return_exceptions=True)


async def _tail(client: JobClient, job: str, log: Log) -> None:
    """One connection; how it ends does not matter. At the job's end the rest of the log is read at once."""
    log.begin()
    try:
        async for text in client.tail_job_logs(job):
            log.add(text)
    except (RuntimeError, OSError):
        return
