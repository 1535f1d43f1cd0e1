"""The cluster's job server, as Ray's client speaks to it; what is wrong with its address or token is one sentence."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import ray
import requests
from ray.exceptions import AuthenticationError
from ray.job_submission import JobSubmissionClient

from fireact_ray.core.errors import InputError
from fireact_ray.stages.connecting import TOKEN

_TALKERS = (  # of what we say ourselves
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray._private.runtime_env.packaging",
)
_ANSWER_S = 30.0
_ELSEWHERE = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")  # Ray's client takes them before the address that it is given


def connect(address: str) -> JobSubmissionClient:
    """`address`: of the dashboard, such as http://127.0.0.1:8265. Raises InputError where no job server of this Ray
    answers there, or it wants another token."""
    _demand_http(address)
    for module in _TALKERS:
        logging.getLogger(module).setLevel(logging.WARNING)
    try:
        requests.get(f"{address.rstrip('/')}/api/version", timeout=_ANSWER_S)  # Ray's client would wait for ever
        with _unset(_ELSEWHERE):
            client = JobSubmissionClient(address)
        theirs = client._do_request("GET", "/api/version").json()["ray_version"]
    except AuthenticationError as error:
        raise InputError(f"Cluster {address}: {_refusal(str(error))}. {TOKEN}") from None
    except (RuntimeError, ValueError, OSError, KeyError) as error:  # requests' errors are OSErrors
        raise InputError(
            f"Cluster {address}: no job server of Ray answers there ({_in_short(error)}). --cluster takes the "
            "dashboard's address, such as http://127.0.0.1:8265 at the end of `ray dashboard cluster.yaml` or of "
            "`kubectl port-forward`."
        ) from None
    if theirs != ray.__version__:
        raise InputError(
            f"Cluster {address}: it runs Ray {theirs}, and this is {ray.__version__}. Install the cluster's version "
            "here, or this one there."
        )
    return client


def is_open(address: str) -> bool:
    """Whether the job server takes requests of anybody."""
    return requests.get(f"{address.rstrip('/')}/api/jobs/", timeout=_ANSWER_S).status_code == 200


def as_command(command: str) -> str:
    """A command line for this cluster: Ray's own commands need to be told of a token each time."""
    return f"RAY_AUTH_MODE=token {command}" if os.environ.get("RAY_AUTH_MODE", "").lower() == "token" else command


def _demand_http(address: str) -> None:
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise InputError(
            f"--cluster {address.rpartition('@')[2]}: expected the dashboard's address, such as http://127.0.0.1:8265, "
            "and no user or password in it."
        )


def _refusal(text: str) -> str:
    """Ray's client says 401 and 403 in words."""
    sends = "and this command sends none" if text.startswith("Authentication required") else "another than is sent here"
    return f"it wants a token, {sends}"


def _in_short(error: BaseException) -> str:
    if isinstance(error, requests.exceptions.Timeout):
        return f"no answer in {_ANSWER_S:g} s"
    if isinstance(error, requests.exceptions.ConnectionError | ConnectionError):
        return "no connection"
    return " ".join(str(error).split())[:200] or type(error).__name__


@contextmanager
def _unset(names: tuple[str, ...]) -> Iterator[None]:
    held = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(held)
