"""An actor on each node, that says what its node is and what it reaches. It takes no CPU: a busy node answers, too."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

import ray

from fireact_ray.core.errors import DataError
from fireact_ray.core.secrets import ApiKey
from fireact_ray.core.storage.folder import Folder
from fireact_ray.stages.jobs.checks import lacking

_PACKAGES = ("ray", "torch", "transformers", "pyarrow")
_CONNECT_S = 5.0
_SEEN_S = 10.0

Address = tuple[str, int]


class NodeProbe:
    def __init__(self) -> None:
        self._server: socket.socket | None = None

    def versions(self) -> dict[str, str]:
        """Read from what is installed; nothing heavy is imported."""
        found = {"python": platform.python_version()}
        for package in _PACKAGES:
            try:
                found[package] = importlib.metadata.version(package)
            except importlib.metadata.PackageNotFoundError:
                found[package] = "missing"
        return found

    def n_gpus(self) -> int | None:
        """By the driver's own tool; None where there is no such tool."""
        if shutil.which("nvidia-smi") is None:
            return None
        done = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, timeout=30)
        return sum(line.startswith("GPU ") for line in done.stdout.splitlines())

    def has_token_mode(self) -> bool:
        return os.environ.get("RAY_AUTH_MODE", "").lower() == "token"

    def lacking(self, keys: Sequence[ApiKey]) -> str | None:
        """Places of keys, never their values."""
        return lacking(keys)

    def now(self) -> float:
        return time.time()

    def listen(self) -> Address:
        """At a port that the kernel chooses, as Ray's workers do; nobody is answered."""
        self._server = socket.create_server(("", 0), backlog=128)
        return ray.util.get_node_ip_address(), self._server.getsockname()[1]

    def unreached(self, others: Mapping[str, Address]) -> list[str]:
        """Names of those that let no connection in."""
        missed = []
        for name, address in others.items():
            try:
                socket.create_connection(address, timeout=_CONNECT_S).close()
            except OSError:
                missed.append(name)
        return missed

    def write(self, folder: Folder, name: str) -> bool:
        try:
            folder.write(name, name)
        except (DataError, OSError):
            return False
        return True

    def unseen(self, folder: Folder, names: Mapping[str, str]) -> list[str]:
        """Of files by their writers' names, the writers whose file is not here. A mount may be slow to show it."""
        until, missing = time.monotonic() + _SEEN_S, list(names)
        while missing := [writer for writer in missing if not _is_there(folder, names[writer])]:
            if time.monotonic() > until:
                break
            time.sleep(1)
        return missing

    def delete(self, folder: Folder, names: Sequence[str]) -> None:
        for name in names:
            with suppress(DataError, OSError):
                folder.delete(name)


def _is_there(folder: Folder, name: str) -> bool:
    try:
        return folder.read(name).decode() == name
    except OSError:
        return False
