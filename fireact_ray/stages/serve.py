"""Serve: the fine-tuned agent as a Ray Serve application of two deployments, with searches as async actors."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

from ray import serve as ray_serve

from fireact_ray.core.errors import InputError
from fireact_ray.core.secrets import read_api_key
from fireact_ray.core.utils.interrupts import interrupts_heeded, interrupts_wait
from fireact_ray.core.utils.waiting import said_while_waiting
from fireact_ray.recipe.hosted import hosted_agents, open_api
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.search import open_backend
from fireact_ray.recipe.student import local_student, open_renderer, student_dir
from fireact_ray.recipe.students import HostedStudentConfig
from fireact_ray.recipe.teacher import TeacherAgents
from fireact_ray.stages.actors.resources import pending
from fireact_ray.stages.actors.search import search_pool
from fireact_ray.stages.deployments import AgentServer, EngineServer, HostedAgentServer
from fireact_ray.stages.ray_session import ray_session

_POLL_S = 0.2
_AGENT_CPUS = 0.25

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
    model = _openable(recipe)
    if config.api_key_env:
        read_api_key(config.api_key_env, None, "Serving")
    fingerprint = open_backend(recipe.search).fingerprint
    port = _free_port(config.host, config.port)
    with ray_session(recipe.ray), search_pool(recipe.search, fingerprint) as backend:
        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        http = {"host": config.host, "port": port, "request_timeout_s": config.request_timeout_s}
        try:
            with said_while_waiting("serve", lambda: pending(config.replicas, "replicas", _takes(model, recipe))):
                ray_serve.start(http_options=http)
                ray_serve.run(_application(recipe, model, backend), name="fireact", route_prefix="/")
            n_engines = config.replicas if isinstance(model, str) else 0
            logger.info("serve: Ray Serve, agent x %d, engine x %d", config.replicas, n_engines)
            yield f"http://{config.host}:{port}"
        finally:
            ray_serve.shutdown()


def model_name(recipe: Recipe) -> str:
    """The id under which clients ask for the agent."""
    return f"fireact/{recipe.name}"


def _openable(recipe: Recipe) -> str | TeacherAgents:
    """The student's model folder, or the agents of a hosted one. What is missing or does not match is found here, not
    in a replica."""
    if isinstance(recipe.student, HostedStudentConfig):
        open_api(recipe.student)
        return hosted_agents(recipe, "finetuned")
    model_dir = student_dir(recipe, "finetuned")
    open_renderer(model_dir, local_student(recipe))
    return model_dir


def _application(recipe: Recipe, model: str | TeacherAgents, backend: object) -> object:
    config = recipe.serve
    load = {
        "max_ongoing_requests": config.max_ongoing_requests,
        "max_queued_requests": config.max_ongoing_requests * 4,
    }
    agent = partial(
        ray_serve.deployment,
        name="agent",
        num_replicas=config.replicas,
        ray_actor_options={"num_cpus": _AGENT_CPUS},
        **load,
    )
    if isinstance(model, TeacherAgents):
        return agent()(ray_serve.ingress()(HostedAgentServer)).bind(recipe, model, model_name(recipe), backend)
    takes = _takes(model, recipe)
    engine = ray_serve.deployment(
        name="engine",
        num_replicas=config.replicas,
        ray_actor_options={"num_cpus": takes["CPU"], "num_gpus": takes["GPU"]},
        **load,
    )(EngineServer).bind(recipe, model)
    return agent()(ray_serve.ingress()(AgentServer)).bind(recipe, model, model_name(recipe), backend, engine)


def _takes(model: str | TeacherAgents, recipe: Recipe) -> dict[str, float]:
    """The largest part of a replica."""
    if isinstance(model, TeacherAgents):
        return {"CPU": _AGENT_CPUS}
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
