"""What a Ray of its own needs of this machine, looked at before it is started: each lack is one sentence."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from fireact_ray.core.errors import InputError

PATIENCE = {  # seconds in which Ray's processes may start, instead of 30 or 60; the raylet's are set in stages
    "RAY_gcs_server_port_wait_time_s": "300",
    "RAY_worker_register_timeout_seconds": "300",
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",  # instead of 5: a proxy that is late is killed and begins anew
    "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "60",
}
# Serve gives a replica's code, and what asks other replicas, a thread each. Ours waits for nothing but its event loop:
# they would only bring the way from thread to thread. And by gRPC a proxy's call of a replica costs less than as a call
# of Ray; it goes to a port that replicas open in any case and that wants Ray's token. Replies may have more than 4 MB.
QUICK = {
    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
    "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "0",
    "RAY_SERVE_PROXY_USE_GRPC": "1",
    "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(1 << 28),
}
# What stands in Ray Serve's HTTP proxies, named before they start: they take their callback from the environment.
EDGE_VARIABLE, EDGE_PATH = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH", "fireact_ray.stages.proxies:edge"
# How often a Ray of its own is started: its raylet gives its agents 15 s, whatever the settings, and ends where they
# take longer (github.com/ray-project/ray/issues/65983). On a busy machine they do, the first time.
STARTS = 3
_LATE = ("timed out", "timeout", "some of the raylet failed")
_SOCKET = "ray/session_2026-11-25_23-33-48_123456_{pid}/sockets/plasma_store"
_MAX_SOCKET_BYTES = 107  # of a path, by the kernel


def demand_room(env: Mapping[str, str]) -> None:
    """Raises InputError naming the variable to set where Ray could not start."""
    _demand_session_folder(env)
    _demand_token(env)


def explained(error: BaseException) -> InputError:
    """An error by which ray.init could not start a Ray, in one sentence with what to do."""
    text = " ".join(str(error).split()) or type(error).__name__
    if is_late(error):
        name = "RAY_gcs_server_port_wait_time_s"
        return InputError(
            f"Ray did not start on this machine in its time ({text}). Where the machine is busy, run the same command "
            f"again later, or raise {name} (now {os.environ.get(name)} s) and RAY_raylet_start_wait_time_s."
        )
    if "/dev/shm" in text or "object store" in text.lower():
        return InputError(
            f"Ray did not start: {text} Make room in /dev/shm (docker run --shm-size), or set "
            "RAY_OBJECT_STORE_ALLOW_SLOW_STORAGE=1 to keep its objects in RAY_TMPDIR."
        )
    if isinstance(error, OSError) and error.filename:
        name, folder = _session_folder(os.environ)
        return InputError(
            f"Ray did not start: {error.filename}: {error.strerror}. Set {name} (now {folder}) and HOME to folders "
            "that can be written."
        )
    return InputError(f"Ray did not start on this machine: {type(error).__name__}: {text}")


def is_late(error: BaseException) -> bool:
    """An error of ray.init that another start may not have."""
    return any(sign in str(error).lower() for sign in _LATE)


def children() -> set[int]:
    """The processes that this one has started; none where there is no /proc."""
    while True:
        try:
            files = Path("/proc/self/task").glob("*/children")
            return {int(pid) for file in files for pid in file.read_text().split()}
        except (FileNotFoundError, ProcessLookupError):  # a thread has ended meanwhile, and left its own to another one
            continue


def kill(processes: set[int]) -> None:
    for pid in processes:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _session_folder(env: Mapping[str, str]) -> tuple[str, str]:
    """The variable that names it, and where it is."""
    for name in ("RAY_TMPDIR", "TMPDIR"):
        if name in env:
            return name, env[name]
    return "RAY_TMPDIR", "/tmp"


def _demand_session_folder(env: Mapping[str, str]) -> None:
    name, folder = _session_folder(env)
    if not Path(folder).is_absolute():  # Ray's processes have other working folders, and would wait for each other
        raise InputError(f"{name}={folder} is a relative path. Set RAY_TMPDIR to an absolute one, such as /tmp.")
    n_bytes = len(os.fsencode(str(Path(folder, _SOCKET.format(pid=os.getpid())))))
    if n_bytes > _MAX_SOCKET_BYTES:
        raise InputError(
            f"{name}={folder} is {n_bytes - _MAX_SOCKET_BYTES} bytes too long: Ray's sockets lie in it, and their "
            f"paths have at most {_MAX_SOCKET_BYTES} bytes. Set RAY_TMPDIR to a shorter folder, such as /tmp."
        )
    try:
        Path(folder, "ray").mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=Path(folder, "ray")) as file:
            file.write(b"room")
            file.flush()
    except OSError as error:
        raise InputError(
            f"{name}={folder} cannot be written ({error.strerror}), and Ray keeps its session there. "
            "Set RAY_TMPDIR to a short folder that can be written, such as /tmp."
        ) from None


def _demand_token(env: Mapping[str, str]) -> None:
    """A Ray of its own is protected by a token, which ray.init keeps in the home folder."""
    if env.get("RAY_AUTH_MODE", "token").lower() != "token" or env.get("RAY_AUTH_TOKEN"):
        return
    if given := env.get("RAY_AUTH_TOKEN_PATH"):
        if not Path(given).is_file():
            raise InputError(f"RAY_AUTH_TOKEN_PATH={given}: no such file. Put Ray's token there, or unset it.")
        return
    token = Path(env.get("HOME") or Path.home()) / ".ray" / "auth_token"
    if os.access(token, os.R_OK):
        return
    try:
        token.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=token.parent):
            pass
    except OSError as error:
        raise InputError(
            f"Ray cannot write its token to {token} ({error.strerror}). Set HOME to a folder that can be written, "
            "RAY_AUTH_TOKEN_PATH to a file with a token, or RAY_AUTH_MODE=disabled."
        ) from None
