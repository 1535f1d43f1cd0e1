"""An autoscaling Ray cluster on one machine: a head without tasks, and nodes that come by demand and go when idle.

Each node is a raylet of its own; the autoscaler is the real one (v2), its provider in local_nodes.py. It wants a token
of everybody, listens to loopback for jobs, and ends with all its processes.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

_HEAD = "f" * 51 + "00000"  # as Ray's provider for tests numbers its nodes
# A node that is gone is found out in 1.5 s instead of half a minute.
_FAST = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 3}
_STARTS = 3
_COMMANDS = (  # none, but Ray wants to know
    *("cluster_synced_files", "initialization_commands", "setup_commands", "head_setup_commands"),
    *("worker_setup_commands", "head_start_ray_commands", "worker_start_ray_commands"),
)
_FIXED_PORTS = ("port", "dashboard-port", "ray-client-server-port", "dashboard-agent-listen-port")


@dataclass(frozen=True)
class LocalCluster:
    """`url`: of its dashboard; `env`: for commands that speak to it; `mark`: what all its processes inherit; `folder`:
    of their sessions and logs."""

    url: str
    address: str
    env: dict[str, str]
    mark: str
    token: str
    folder: Path

    def get(self, path: str, *, token: bool = True) -> Any:
        """JSON of its HTTP API. Raises HTTPError for a refusal."""
        headers = {"Authorization": f"Bearer {self.token}"} if token else {}
        with urlopen(Request(f"{self.url}{path}", headers=headers), timeout=30) as reply:
            return json.load(reply)

    def text(self, path: str) -> str:
        """What the API says, also of an error."""
        request = Request(f"{self.url}{path}", headers={"Authorization": f"Bearer {self.token}"})
        try:
            with urlopen(request, timeout=30) as reply:
                return str(reply.read().decode(errors="replace"))
        except HTTPError as error:
            return error.read().decode(errors="replace")

    def nodes(self) -> list[str]:
        """Ids of the nodes beside the head that are alive."""
        found = self.get("/nodes?view=summary")["data"]["summary"]
        alive = [node["raylet"] for node in found if node["raylet"].get("state") == "ALIVE"]
        return [node["nodeId"] for node in alive if node["nodeId"] != _HEAD]

    def status(self) -> str:
        """What `ray status` says: nodes, use, and demand."""
        return str(self.get("/api/cluster_status?format=1")["data"].get("clusterStatus"))

    def kill_node(self, at_work: str = "") -> bool:
        """As a spot node goes: without a word. `at_work`: one with a process called so. False where there is none."""
        for pid in self._raylets():
            if not at_work or any(at_work in _command(child) for child in _children(pid)):
                os.kill(pid, signal.SIGKILL)
                return True
        return False

    def _raylets(self) -> Iterator[int]:
        """Of the nodes beside the head."""
        for pid, env in _processes(self.mark):
            node = _value(env, "RAY_OVERRIDE_NODE_ID_FOR_TESTING")
            if "/raylet/raylet" in _command(pid) and node not in (None, _HEAD):
                yield pid


@contextmanager
def local_cluster(
    n_nodes: int = 2, cpus: int = 2, idle_s: float = 6.0, env: Mapping[str, str] | None = None, least: int = 0
) -> Iterator[LocalCluster]:
    """From `least` to `n_nodes` beside the head, of so many CPUs each. `env`: of its nodes, such as keys."""
    folder = tempfile.mkdtemp(prefix="fr", dir="/tmp")  # short: Ray's sockets lie in it
    ports = dict(zip(_FIXED_PORTS, _free_ports(len(_FIXED_PORTS)), strict=True))
    token, mark = secrets.token_hex(32), f"FIREACT_CLUSTER={uuid.uuid4().hex}"
    files = {"token": token, "cluster.json": json.dumps(_config(folder, least, n_nodes, cpus, idle_s, ports["port"]))}
    for name, content in files.items():
        Path(folder, name).write_text(content)
    spoken = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": f"{folder}/token", "RAY_DISABLE_IMPORT_WARNING": "1"}
    outside = {name: value for name, value in os.environ.items() if name not in ("RAY_ADDRESS", "RAY_AUTH_TOKEN")}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # as in an activated environment
    spoken = {**outside, **spoken, "PATH": path}
    nodes_env = {**spoken, **_of_nodes(folder, mark), **(env or {})}
    urls = f"http://127.0.0.1:{ports['dashboard-port']}", f"127.0.0.1:{ports['port']}"
    made = LocalCluster(*urls, spoken, mark, token, Path(folder))
    try:
        _start(made, folder, ports, nodes_env)
        yield made
    finally:
        _end(made.mark)
        shutil.rmtree(folder, ignore_errors=True)


def _start(cluster: LocalCluster, folder: str, ports: Mapping[str, int], env: Mapping[str, str]) -> None:
    """Ray gives a raylet's agents 15 s to start, and ends it where they take longer: on a busy machine they do."""
    for _ in range(_STARTS):
        head = subprocess.Popen(_command_of(folder, ports), env=dict(env), stdout=subprocess.DEVNULL)
        until(lambda head=head: head.poll() is not None or _takes_jobs(cluster), 180, "the cluster to start")
        if head.poll() is None:
            return
        _end(cluster.mark)
    raise TimeoutError(f"the head did not start, {_STARTS} times")


def until(what: Callable[[], object], seconds: float, said: str) -> None:
    """Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s for {said}")
        time.sleep(0.5)


def _config(folder: str, least: int, n_nodes: int, cpus: int, idle_s: float, port: int) -> dict[str, Any]:
    worker = {"resources": {"CPU": cpus}, "node_config": {}, "min_workers": least, "max_workers": n_nodes}
    head = {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0}
    return {
        "cluster_name": "local",
        "max_workers": n_nodes,
        "idle_timeout_minutes": idle_s / 60,
        "provider": {
            "type": "external",
            "module": "local_nodes.LocalNodes",
            "folder": folder,
            "gcs_address": f"127.0.0.1:{port}",
            "launch_multiple": True,
            "head_node_id": _HEAD,
        },
        "available_node_types": {"worker": worker, "ray.head.default": head},
        "head_node_type": "ray.head.default",
        "upscaling_speed": 10.0,
        **{name: {} for name in ("auth", "docker", "file_mounts")},
        **{name: [] for name in _COMMANDS},
    }


def _command_of(folder: str, ports: Mapping[str, int]) -> list[str]:
    options = [f"--{name}={port}" for name, port in ports.items()]
    options += [f"--autoscaling-config={folder}/cluster.json", f"--system-config={json.dumps(_FAST)}"]
    ray = str(Path(sys.executable).with_name("ray"))
    loopback = "--dashboard-host=127.0.0.1"
    return [ray, "start", "--head", "--num-cpus=0", loopback, "--disable-usage-stats", "--block", *options]


def _of_nodes(folder: str, mark: str) -> dict[str, str]:
    name, value = mark.split("=")
    return {
        name: value,
        "RAY_TMPDIR": folder,
        "PYTHONPATH": f"{Path(__file__).parent}:{os.environ.get('PYTHONPATH', '')}",  # local_nodes, for the autoscaler
        "RAY_FAKE_CLUSTER": "1",
        "RAY_enable_autoscaler_v2": "1",
        "RAY_CLOUD_INSTANCE_ID": _HEAD,
        "RAY_OVERRIDE_NODE_ID_FOR_TESTING": _HEAD,
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
        "RAY_gcs_server_port_wait_time_s": "120",
        "RAY_raylet_start_wait_time_s": "120",
        "RAY_worker_register_timeout_seconds": "120",
    }


def _takes_jobs(cluster: LocalCluster) -> bool:
    """When its dashboard knows the head's raylet: before, it has no agent to start a job."""
    try:
        cluster.get("/api/jobs/")
        found = cluster.get("/nodes?view=summary")["data"]["summary"]
    except HTTPError as refused:
        if refused.code == 401:
            raise
        return False
    except (URLError, OSError):
        return False
    return any(node["raylet"].get("state") == "ALIVE" for node in found)


def _end(mark: str) -> None:
    """The autoscaler first, so that it starts nothing anew; then all, until none is left."""
    for _ in range(100):
        found = [pid for pid, _ in _processes(mark)]
        if not found:
            return
        for pid in sorted(found, key=lambda pid: "monitor.py" not in _command(pid)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)


def _processes(mark: str) -> Iterator[tuple[int, bytes]]:
    """Number and environment of the living processes that inherited `mark`."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended while we looked
            env = (process / "environ").read_bytes()
            if mark.encode() in env and int(process.name) != os.getpid():
                yield int(process.name), env


def _command(pid: int) -> str:
    with suppress(OSError):
        return (Path("/proc") / str(pid) / "cmdline").read_text(errors="replace").replace("\0", " ")
    return ""


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, thread.read_text().split())
    return found


def _value(env: bytes, name: str) -> str | None:
    for entry in env.decode(errors="replace").split("\0"):
        key, equals, value = entry.partition("=")
        if equals and key == name:
            return value
    return None


def _free_ports(n: int) -> list[int]:
    """Below those that Linux gives to whoever asks for any: of these one may be another's before Ray comes to it."""
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < n:
            probe, port = held.enter_context(socket.socket()), random.randrange(20_000, 32_000)
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                found.append(port)
    return found
