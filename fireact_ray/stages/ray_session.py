"""Where Ray starts and stops, and how errors of the package come out of it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import ray
from ray.exceptions import RayTaskError

from fireact_ray.core.errors import FireActError
from fireact_ray.core.utils.interrupts import interrupts_wait
from fireact_ray.core.utils.waiting import said_while_waiting
from fireact_ray.recipe.schema import RayConfig
from fireact_ray.stages.actors.log_forwarding import warnings_shown
from fireact_ray.stages.connecting import demand_cluster, unreachable
from fireact_ray.stages.ray_messages import core_without_its_level, log_ray_messages
from fireact_ray.stages.starting import (
    EDGE_PATH,
    EDGE_VARIABLE,
    ONE_LOOP,
    PATIENCE,
    STARTS,
    children,
    demand_room,
    explained,
    is_late,
    kill,
)

logger = logging.getLogger(__name__)


@contextmanager
def ray_session(config: RayConfig) -> Iterator[None]:
    """Connect to the recipe's cluster, to $RAY_ADDRESS, or start a local Ray; what was started here ends here.

    Errors of this package that were raised inside a Ray task come out as themselves.
    """
    started = not ray.is_initialized()
    try:
        if started:
            _start(config)
        with warnings_shown() if started else nullcontext():
            yield
    except RayTaskError as error:
        if (cause := own_error(error)) is not None:
            raise cause from None
        raise
    finally:
        if started:
            ray.shutdown()


def _start(config: RayConfig) -> None:
    # Always an explicit address: without one, ray.init joins whatever cluster was last started on the machine.
    address = config.address or os.environ.get("RAY_ADDRESS") or "local"
    # The C++ core speaks for every actor; what matters to the user is said by the stages.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    logging.getLogger("ray._private.authentication").setLevel(logging.ERROR)
    if address == "local":
        demand_room(os.environ)
        for name, value in (PATIENCE | ONE_LOOP).items():
            os.environ.setdefault(name, value)
        os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")  # nobody takes this machine away with notice
        os.environ.setdefault(EDGE_VARIABLE, EDGE_PATH)  # of no meaning to anything but Serve's proxies
    else:
        demand_cluster(address)
    _init(address, config.num_cpus)
    resources = ray.cluster_resources()
    logger.info(
        "Ray %s at %s: %g CPUs, %g GPUs",
        ray.__version__,
        address,
        resources.get("CPU", 0),
        resources.get("GPU", 0),
    )


def _init(address: str, num_cpus: int | None) -> None:
    log_ray_messages()
    is_local = address == "local"
    options = {"num_cpus": num_cpus, "include_dashboard": False} if is_local else {}
    for attempt in range(1, STARTS + 1):
        before = children()
        try:
            waited = said_while_waiting("Ray", lambda: f"{address} to start or answer")
            with interrupts_wait(), waited, core_without_its_level():
                ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING, **options)
            return
        except SystemExit:  # by a handler of SIGTERM that ray.init puts in the place of ours, somewhere in its middle
            raise KeyboardInterrupt from None
        except Exception as error:  # of which Ray raises plain ones, too
            logger.debug("ray.init", exc_info=True)
            if not is_local:
                raise unreachable(address, str(error)) from None
            kill(children() - before)
            if not is_late(error) or attempt == STARTS:
                raise explained(error) from None
            logger.warning("Ray did not start in its time: this machine is busy. Start %d of %d", attempt + 1, STARTS)


def own_error(error: BaseException | None) -> FireActError | None:
    """The first error of this package in a chain of causes.

    Ray gives a task's error the class of its cause, too, but the text of a traceback: it is not the one.
    """
    while error is not None:
        if isinstance(error, FireActError) and not isinstance(error, RayTaskError):
            return error
        error = getattr(error, "cause", None) or error.__cause__
    return None
