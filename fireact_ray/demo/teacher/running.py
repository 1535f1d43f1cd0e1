"""A recipe's teacher, ready to be called: a scripted one is started for as long as it is needed."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from fireact_ray.recipe.schema import OpenAIModelConfig, Recipe, ScriptedModelConfig

LOOPBACK = "127.0.0.1"
_ANYWHERE = "192.0.2.1"  # of no host: the way out of this machine


@contextmanager
def running_teacher(recipe: Recipe, *, needed: bool = True) -> Iterator[Recipe]:
    """The recipe with its scripted teacher replaced by the address of a running one; other recipes as they are."""
    config = recipe.teacher.model
    if not needed or not isinstance(config, ScriptedModelConfig):
        yield recipe
        return
    from fireact_ray.demo.teacher.server import ScriptedTeacher

    host = reachable_host(recipe.ray.address or os.environ.get("RAY_ADDRESS"))
    with ScriptedTeacher.from_config(config.model_dump(), seed=recipe.seed, host=host) as teacher:
        model = OpenAIModelConfig(kind="openai", name=teacher.model_name, base_url=teacher.base_url, api_key_env=None)
        yield recipe.model_copy(update={"teacher": recipe.teacher.model_copy(update={"model": model})})


def reachable_host(cluster: str | None) -> str:
    """Where workers of this cluster reach this machine: the address by which it would reach the cluster's head.

    Loopback where the cluster is this machine, or where there is no way to the head, as who joins it will say.
    """
    if cluster in (None, "", "local"):
        return LOOPBACK
    head = _ANYWHERE if cluster == "auto" else urlsplit(f"//{cluster.rpartition('://')[2]}").hostname
    try:
        family, kind, _, _, address = socket.getaddrinfo(head, 9, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(address)  # of a datagram socket: chooses a way, sends nothing
            return str(probe.getsockname()[0])
    except (OSError, UnicodeError):
        return LOOPBACK
