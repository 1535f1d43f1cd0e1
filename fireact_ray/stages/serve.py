"""Serve: the fine-tuned agent as a Ray Serve application of two deployments, with searches as async actors."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ray import serve as ray_serve

from fireact_ray.core.errors import InputError
from fireact_ray.core.secrets import read_api_key
from fireact_ray.core.utils.interrupts import interrupts_heeded, interrupts_wait
from fireact_ray.core.utils.waiting import said_while_waiting
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.search import open_backend
from fireact_ray.recipe.student import open_renderer, student_dir
from fireact_ray.stages.actors.resources import pending
from fireact_ray.stages.actors.search import search_pool
from fireact_ray.stages.deployments import AgentServer, EngineServer
from fireact_ray.stages.ray_session import ray_session

_POLL_S = 0.2

logger = logging.getLogger(__name__)


def serve(recipe: Recipe) -> None:
    """Serve until interrupted, which is how this ends."""
    with suppress(KeyboardInterrupt), interrupts_heeded(), serving(recipe) as url:
        logger.info("serve: %s/v1/chat/completions, model '%s'; Ctrl-C stops", url, model_name(recipe))
        with interrupts_wait() as interrupted:
            while not interrupted():
                time.sleep(_POLL_S)


@contextmanager
def serving(recipe: Recipe) -> Iterator[str]:
    """The running application's base URL; it is shut down at the end.

    Raises InputError for a missing model or key and for a port in use, before Ray Serve is started.
    """
    config = recipe.serve
    model_dir = student_dir(recipe, "finetuned")
    open_renderer(model_dir, recipe.student)  # a missing or mismatching model is found here, not in a replica
    if config.api_key_env:
        read_api_key(config.api_key_env, None, "Serving")
    fingerprint = open_backend(recipe.search).fingerprint
    port = _free_port(config.host, config.port)
    with ray_session(recipe.ray), search_pool(recipe.search, fingerprint) as backend:
        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        http = {"host": config.host, "port": port, "request_timeout_s": config.request_timeout_s}
        try:
            with said_while_waiting("serve", lambda: pending(config.replicas, "replicas", _engine_takes(recipe))):
                ray_serve.start(http_options=http)
                ray_serve.run(_application(recipe, model_dir, backend), name="fireact", route_prefix="/")
            logger.info("serve: Ray Serve, agent x %d, engine x %d", config.replicas, config.replicas)
            yield f"http://{config.host}:{port}"
        finally:
            ray_serve.shutdown()


def model_name(recipe: Recipe) -> str:
    """The id under which clients ask for the agent."""
    return f"fireact/{recipe.name}"


def _application(recipe: Recipe, model_dir: str, backend: object) -> object:
    config, takes = recipe.serve, _engine_takes(recipe)
    load = {
        "max_ongoing_requests": config.max_ongoing_requests,
        "max_queued_requests": config.max_ongoing_requests * 4,
    }
    engine = ray_serve.deployment(
        name="engine",
        num_replicas=config.replicas,
        ray_actor_options={"num_cpus": takes["CPU"], "num_gpus": takes["GPU"]},
        **load,
    )(EngineServer).bind(recipe, model_dir)
    agent = ray_serve.deployment(
        name="agent", num_replicas=config.replicas, ray_actor_options={"num_cpus": 0.25}, **load
    )(ray_serve.ingress()(AgentServer))
    return agent.bind(recipe, model_dir, model_name(recipe), backend, engine)


def _engine_takes(recipe: Recipe) -> dict[str, float]:
    return {"CPU": 0.5, "GPU": float(recipe.serve.use_gpu)}


def _free_port(host: str, port: int) -> int:
    """`port`, or a free one for 0. Raises InputError when it is in use."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise InputError(
                f"serve.port {port} on {host}: cannot be used ({error.strerror}). "
                "Stop what listens there, or set another one: --set serve.port=8001 (0 takes any free one)."
            ) from None
        return int(probe.getsockname()[1])
