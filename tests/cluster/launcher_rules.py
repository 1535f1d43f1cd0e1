"""What a file of Ray's cluster launcher must be, beyond what Ray's own schema asks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from manifests import scalars, secrets, unpinned

Config = dict[str, Any]


def problems(config: Config) -> list[str]:
    """One sentence for each rule that `config`, a parsed launcher file, breaks."""
    return [problem for rule in _RULES for problem in rule(config)]


def _types(config: Config) -> dict[str, Any]:
    return dict(config["available_node_types"])


def _workers(config: Config) -> dict[str, Any]:
    return {name: one for name, one in _types(config).items() if name != config["head_node_type"]}


def _is_spot(node: Config) -> bool:
    given = node["node_config"]
    scheduling = given.get("scheduling", {})
    if not isinstance(scheduling, dict):
        return False
    return (
        given.get("InstanceMarketOptions", {}).get("MarketType") == "spot"
        or scheduling.get("provisioningModel") == "SPOT"
        or bool(scheduling.get("preemptible"))
    )


def _the_head_runs_no_tasks(config: Config) -> Iterator[str]:
    if _types(config)[config["head_node_type"]]["resources"].get("CPU") != 0:
        yield "the head must say `resources: {CPU: 0}`: a task there can take down the cluster"


def _the_head_is_on_demand(config: Config) -> Iterator[str]:
    if _is_spot(_types(config)[config["head_node_type"]]):
        yield "the head is a spot node: with it the cluster goes"


def _scheduling_is_what_google_takes(config: Config) -> Iterator[str]:
    for name, node in _types(config).items():  # Ray's own examples have a list there (ray issue 46248)
        if not isinstance(node["node_config"].get("scheduling", {}), dict):
            yield f"{name}: `scheduling` is a mapping, not a list"


def _workers_come_and_go(config: Config) -> Iterator[str]:
    for name, node in _workers(config).items():
        if node.get("min_workers", 0) != 0:
            yield f"{name}: min_workers must be 0, or an idle cluster is paid for"
        if not node["resources"].get("CPU"):
            yield f"{name}: `resources` must say its CPUs, or nothing is ever started for a task"
        if "max_workers" not in node:
            yield f"{name}: max_workers must be given, or one type may take the room of all"
    if not 0 < config.get("idle_timeout_minutes", 0) <= 30:
        yield "idle_timeout_minutes must be given, 30 at most"


def _the_dashboard_is_on_loopback(config: Config) -> Iterator[str]:
    start = " ".join(config["head_start_ray_commands"])
    if not re.search(r"--dashboard-host[= ](127\.0\.0\.1|localhost)\b", start):
        yield "head_start_ray_commands must say --dashboard-host=127.0.0.1: who reaches it runs code on the cluster"
    for where, value in scalars({key: one for key, one in config.items() if key.endswith("_commands")}):
        if "0.0.0.0" in str(value):
            yield f"{where}: 0.0.0.0 is open to all"


def _tokens_are_asked_for(config: Config) -> Iterator[str]:
    everywhere = " ".join(config.get("docker", {}).get("run_options", []))
    for part in ("head", "worker"):
        start = f"{everywhere} {' '.join(config[f'{part}_start_ray_commands'])}"
        if "RAY_AUTH_MODE=token" not in start or "RAY_AUTH_TOKEN_PATH=" not in start:
            yield f"{part}: RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH must be set, or Ray starts open"


def _no_door_is_open(config: Config) -> Iterator[str]:
    for where, value in scalars(config.get("provider", {})):
        if value in ("0.0.0.0/0", "::/0"):
            yield f"provider.{where}: {value} lets all in"
    if config["provider"]["type"] != "aws":
        return
    for name, node in _types(config).items():
        if not node["node_config"].get("SecurityGroupIds"):
            yield f"{name}: SecurityGroupIds must be given: the group that Ray makes lets in SSH from everywhere"


def _images_are_pinned(config: Config) -> Iterator[str]:
    for where, value in scalars(config):
        if where.endswith("image") and "metadata" not in where and unpinned(str(value)):
            yield f"{where}: '{value}' may be another image tomorrow; give a tag of a version, or a digest"
        if where.endswith("sourceImage") and "/family/" in str(value):
            yield f"{where}: a family moves; name one image"
    for name, node in _types(config).items():
        if config["provider"]["type"] == "aws" and not node["node_config"].get("ImageId", "").startswith("ami-"):
            yield f"{name}: ImageId must name an image"


def _all_nodes_see_the_storage(config: Config) -> Iterator[str]:
    volumes = " ".join(config.get("docker", {}).get("run_options", []))
    shared = re.search(r"(?:--volume|-v)[= ](/[\w/-]+):\1\b", volumes)
    if not shared:
        yield "docker.run_options must pass the shared storage on, as --volume=/shared:/shared"
        return
    for name, node in _types(config).items():
        commands = node.get("initialization_commands", config.get("initialization_commands", []))
        if not any(re.search(rf"\b(mount|gcsfuse)\b.* {shared.group(1)}$", one) for one in commands):
            yield f"{name}: nothing mounts {shared.group(1)} there"


def _no_secret_is_written(config: Config) -> Iterator[str]:
    yield from secrets(config)


_RULES: tuple[Callable[[Config], Iterator[str]], ...] = (
    _scheduling_is_what_google_takes,
    _the_head_runs_no_tasks,
    _the_head_is_on_demand,
    _workers_come_and_go,
    _the_dashboard_is_on_loopback,
    _tokens_are_asked_for,
    _no_door_is_open,
    _images_are_pinned,
    _all_nodes_see_the_storage,
    _no_secret_is_written,
)
