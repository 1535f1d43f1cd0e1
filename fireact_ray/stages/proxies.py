"""What Ray Serve builds into its HTTP proxies, where RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH names `edge` when they
start."""

from __future__ import annotations

from collections.abc import Collection

from ray import serve as ray_serve
from starlette.middleware import Middleware

from fireact_ray.serving.edge import Edge
from fireact_ray.serving.hop import Place
from fireact_ray.stages.actors.replicas import AGENT, Replicas


def edge() -> list[Middleware]:
    """As Serve's callback wants it."""
    return [Middleware(Edge, agents=ServedAgents())]


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
