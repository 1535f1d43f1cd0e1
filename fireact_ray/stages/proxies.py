"""What Ray Serve builds into its HTTP proxies, where RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH names `edge` when they
start."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from ray import serve as ray_serve
from starlette.middleware import Middleware
from starlette.types import ASGIApp

from fireact_ray.serving.edge import Edge
from fireact_ray.serving.hop import Place
from fireact_ray.stages.actors.replicas import AGENT, Replicas
from fireact_ray.stages.serve_metrics import requests_counter

logger = logging.getLogger(__name__)


def edge() -> list[Middleware]:
    """As Serve's callback wants it."""
    return [Middleware(_edge)]


def _edge(app: ASGIApp) -> Edge:
    requests = requests_counter()
    return Edge(
        app,
        ServedAgents(),
        counted=counted_by(app),
        refused=lambda status: requests.inc(1, {"route": "(proxy)", "status": str(status)}),
    )


class ServedAgents:
    """The agents' replicas of each application that this proxy has met."""

    def __init__(self) -> None:
        self._replicas: dict[str, Replicas[Place]] = {}

    async def places(self, app: str) -> Collection[Place]:
        if app not in self._replicas:
            self._replicas[app] = Replicas(ray_serve.get_deployment_handle(AGENT, app), Place)
        return self._replicas[app].now().values()

    def forget(self, app: str, place: Place) -> None:
        self._replicas[app].forget(place)


def counted_by(app: ASGIApp) -> Callable[[], AbstractContextManager[None]]:
    """As one of the requests that a proxy waits for before it stops: of those that go by Serve it counts each itself.

    `app`: what Ray 2.60 wraps in middlewares, its proxy within one of its own; there is no public way.
    """
    proxy: Any = getattr(app, "_app", None)
    try:
        begin, end = proxy._ongoing_requests_start, proxy._ongoing_requests_end
    except AttributeError:
        logger.warning("This Ray's proxies cannot be told of questions: one that drains does not wait for them.")
        return nullcontext

    @contextmanager
    def counted() -> Iterator[None]:
        begin()
        try:
            yield
        finally:
            end()

    return counted
