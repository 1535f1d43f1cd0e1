"""What is said while a server starts and while it ends: which replicas are ready, and how many questions still run."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from ray import serve as ray_serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException

from fireact_ray.core import errors
from fireact_ray.core.errors import FireActError, InputError
from fireact_ray.core.utils.waiting import Waiting, looking
from fireact_ray.stages.actors.replicas import AGENT
from fireact_ray.stages.actors.resources import pending
from fireact_ray.stages.application import NAME

_ASK_S, _LOOK_S = 5.0, 1.0
_OURS = re.compile(r"fireact_ray\.core\.errors\.(\w+): (.+)")
_BROKEN = (RayError, RayServeException, TimeoutError, RuntimeError)  # what a server that ends may answer with

logger = logging.getLogger(__name__)


@contextmanager
def said_as_replicas_come(takes: Mapping[str, float]) -> Iterator[None]:
    """A line whenever the number of ready replicas has changed, and what is lacking where none has for a while.

    `takes`: of the largest replica.
    """
    began, said, waiting = time.monotonic(), "", Waiting("serve", lambda: pending(1, "replicas", takes))

    def look() -> None:
        nonlocal said
        if (found := ready()) and found != said:
            said = found
            logger.info("serve: ready %s, %.0f s", found, time.monotonic() - began)
        waiting.look()

    with looking(look):
        yield


def ready() -> str:
    """`agent 0 of 1, engine 1 of 1, search 1 of 1`; empty while Serve knows nothing of the application."""
    with suppress(*_BROKEN):
        application = ray_serve.status().applications.get(NAME)
        parts = application.deployments if application else {}
        counts = {name: part.replica_states for name, part in sorted(parts.items()) if part.replica_states}
        return ", ".join(f"{name} {n.get('RUNNING', 0)} of {sum(n.values())}" for name, n in counts.items())
    return ""


def drain(patience_s: float) -> None:
    """Take no more questions, and wait for those that run. A KeyboardInterrupt ends the wait."""
    with suppress(*_BROKEN):
        asyncio.run(_drain(patience_s))  # where Serve's router has no loop of its own, it needs one


async def _drain(patience_s: float) -> None:
    agents = ray_serve.get_deployment_handle(AGENT, NAME)
    await agents.broadcast("close").results_async(timeout_s=_ASK_S, return_exceptions=True)
    n_running, until = -1, time.monotonic() + patience_s
    while time.monotonic() < until:
        answers = await agents.broadcast("at_work").results_async(timeout_s=_ASK_S, return_exceptions=True)
        n_now = sum(answer for answer in answers if isinstance(answer, int))
        if n_now == 0:
            return
        if n_now != n_running:
            n_running = n_now
            logger.info("serve: %d questions run and are answered first; Ctrl-C cuts them off", n_running)
        await asyncio.sleep(_LOOK_S)
    logger.warning("serve: %d questions are cut off: they ran longer than %.0f s", n_running, patience_s)


def told_of_parts() -> list[str]:
    """What Serve says of each deployment; of one that cannot start the error that its replicas met."""
    with suppress(*_BROKEN):
        application = ray_serve.status().applications.get(NAME)
        return [part.message for part in application.deployments.values()] if application else []
    return []


def explained(error: RuntimeError, of_parts: Sequence[str]) -> FireActError:
    """Why Serve could not start the application: our own error, where a replica met one, otherwise Serve's words.

    `of_parts`: see told_of_parts; the error itself says only which of them could not start.
    """
    told = [str(error), *of_parts]
    found = _OURS.findall("\n".join(told))
    if found:
        name, message = found[-1]
        return getattr(errors, name, InputError)(message)
    lines = [line.strip() for line in "\n".join(told).splitlines() if line.strip()]
    return InputError(f"Ray Serve could not start the application: {lines[-1] if lines else error}")
