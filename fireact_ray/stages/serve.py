"""Serve: the agents of a recipe as a Ray Serve application that lasts as long as the command."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPResponse

import ray
from ray import serve as ray_serve
from ray.serve import Application
from ray.serve.schema import LoggingConfig

from fireact_ray.core.errors import InputError
from fireact_ray.core.utils.interrupts import interrupts_heeded, interrupts_wait
from fireact_ray.core.utils.waiting import Waiting, said_while_waiting
from fireact_ray.recipe.schema import Recipe
from fireact_ray.serving.edge_reply import MARK
from fireact_ray.serving.guard import HEALTH
from fireact_ray.serving.held_port import held_port, url_of
from fireact_ray.stages.actors.engine_server import EngineServer
from fireact_ray.stages.application import NAME, application, engine_takes, model_id
from fireact_ray.stages.ray_session import ray_session
from fireact_ray.stages.serve_progress import drain, explained, ready, said_as_replicas_come, told_of_parts
from fireact_ray.stages.starting import EDGE_PATH, EDGE_VARIABLE

_POLL_S = 0.2
_PROXY_S = 300.0

logger = logging.getLogger(__name__)


def serve(recipe: Recipe) -> None:
    """Serve until interrupted, which is how this ends: what runs is answered first."""
    with suppress(KeyboardInterrupt), interrupts_heeded(), serving(recipe) as url:
        ids = ", ".join(f"'{model_id(recipe, entry.name)}'" for entry in recipe.serve.systems)
        logger.info("serve: %s/v1/chat/completions, model %s; Ctrl-C stops", url, ids)
        with interrupts_wait() as interrupted:
            while not interrupted():
                time.sleep(_POLL_S)


@contextmanager
def serving(recipe: Recipe, engine_server: type[EngineServer] | None = None) -> Iterator[str]:
    """The running application's base URL; at the end what runs is answered, and it is shut down.

    Raises InputError for a missing model or key and for a port in use, before Ray Serve is started.
    """
    config = recipe.serve
    app = application(recipe, engine_server)
    with held_port(config.host, config.port) as port, ray_session(recipe.ray):
        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        try:
            _start(recipe, app, port)
            try:
                yield url_of(config.host, port)
            finally:
                drain(config.proxy_timeout_s)
        finally:
            with said_while_waiting("serve", lambda: "Ray Serve to end"):
                ray_serve.shutdown()


def _start(recipe: Recipe, app: Application, port: int) -> None:
    config = recipe.serve
    http = {"host": config.host, "port": port, "request_timeout_s": config.proxy_timeout_s}
    quiet = LoggingConfig(enable_access_log=False)  # the agent has a line of its own for each request
    with said_as_replicas_come(engine_takes(config)):
        try:
            with suppress(TimeoutError):  # a proxy that is late: it is waited for below
                ray_serve.start(http_options=http, logging_config=quiet)
            ray_serve.run(app, name=NAME, route_prefix="/")
        except RuntimeError as error:
            raise explained(error, told_of_parts()) from None
    logger.info("serve: Ray Serve, %s; logs on each node in %s", ready(), _logs())
    _demand_edge(config.host, port)
    if not (recipe.ray.address or os.environ.get("RAY_ADDRESS")):
        token = "and want no token" if os.environ.get("RAY_AUTH_MODE") == "disabled" else "and want its token"
        logger.info("serve: the ports of Ray itself listen on all interfaces of this machine, %s", token)


def _logs() -> str:
    """Of this Ray: `session_latest` is whichever began last on a machine."""
    return f"{os.environ.get('RAY_TMPDIR', '/tmp')}/ray/{ray.get_runtime_context().get_session_name()}/logs/serve"


def _demand_edge(host: str, port: int) -> None:
    """Say where Serve's proxies answer in their own words: those of a cluster begin with its nodes' environment."""
    if _healthy_reply(host, port).getheader(MARK) is None:
        logger.warning(
            "serve: Ray's proxies answer what reaches no agent in bare text. Start the cluster's nodes with %s=%s",
            EDGE_VARIABLE,
            EDGE_PATH,
        )


def _healthy_reply(host: str, port: int) -> HTTPResponse:
    """Raises InputError where the proxy still does not listen after minutes."""
    waiting, until = Waiting("serve", lambda: "Serve's proxy to listen"), time.monotonic() + _PROXY_S
    while True:
        connection = HTTPConnection(host, port, timeout=_PROXY_S)
        try:
            connection.request("GET", HEALTH)
            return connection.getresponse()
        except OSError as error:
            if time.monotonic() > until:
                raise InputError(
                    f"Ray Serve's proxy does not listen on {host}:{port} after {_PROXY_S:g} s ({error}). Where this "
                    f"machine is busy, run the same command later; its log is in {_logs()}."
                ) from None
        finally:
            connection.close()
        waiting.look()
        time.sleep(_POLL_S)
