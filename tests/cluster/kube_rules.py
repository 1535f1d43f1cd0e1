"""What our Kubernetes manifests must be, beyond their schemas. All are judged together: policies select by label."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import yaml
from manifests import secrets, unpinned

Manifest = dict[str, Any]
_CLUSTER_IN = {"RayCluster": (), "RayService": ("rayClusterConfig",), "RayJob": ("rayClusterSpec",)}


def problems(manifests: list[Manifest]) -> list[str]:
    """One sentence for each rule that is broken."""
    return [problem for rule in _RULES for problem in rule(manifests)]


def _clusters(manifests: list[Manifest]) -> Iterator[tuple[Manifest, dict[str, Any]]]:
    """Each Ray cluster's spec, with the manifest that it stands in."""
    for manifest in manifests:
        spec = manifest["spec"]
        for key in _CLUSTER_IN.get(manifest["kind"], ("",)):
            spec = spec.get(key)
        if manifest["kind"] in _CLUSTER_IN and spec:
            yield manifest, spec


def _pods(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    for manifest, spec in _clusters(manifests):
        yield f"{manifest['kind']} head", spec["headGroupSpec"]["template"]
        for group in spec.get("workerGroupSpecs", []):
            yield f"{manifest['kind']} {group['groupName']}", group["template"]
    for manifest in manifests:
        if manifest["kind"] == "StatefulSet":
            yield manifest["metadata"]["name"], manifest["spec"]["template"]


def _selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    for expression in selector.get("matchExpressions", []):
        if expression["operator"] != "In" or labels.get(expression["key"]) not in expression["values"]:
            return False
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())


def _kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    return [one for one in manifests if one["kind"] == kind]


def _heads_run_no_tasks(manifests: list[Manifest]) -> Iterator[str]:
    for manifest, spec in _clusters(manifests):
        head = spec["headGroupSpec"]
        if head.get("rayStartParams", {}).get("num-cpus") != "0":
            yield f'{manifest["kind"]}: the head must say `rayStartParams: {{num-cpus: "0"}}`'
        pod = head["template"]["spec"]
        placed = [pod.get("nodeSelector", {}), *pod.get("tolerations", [])]
        if any("spot" in f"{one}" or "preemptible" in f"{one}" for one in placed):
            yield f"{manifest['kind']}: the head is on spot nodes: with it the cluster goes"


def _clusters_are_closed(manifests: list[Manifest]) -> Iterator[str]:
    for manifest, spec in _clusters(manifests):
        if spec.get("authOptions", {}).get("mode") != "token":
            yield f"{manifest['kind']}: authOptions.mode must be token"
        if "networkPolicy" in spec:
            yield f"{manifest['kind']}: spec.networkPolicy is refused by operators without its feature gate"
        if spec["headGroupSpec"].get("enableIngress"):
            yield f"{manifest['kind']}: an Ingress shows the dashboard to all"
        if spec["headGroupSpec"].get("serviceType", "ClusterIP") != "ClusterIP":
            yield f"{manifest['kind']}: the head's service, with the dashboard, must be ClusterIP"
    for service in _kind(manifests, "Service"):
        if service["spec"].get("type", "ClusterIP") != "ClusterIP":
            yield f"{service['metadata']['name']}: {service['spec']['type']} is reached from outside"
    policies = [one["spec"] for one in _kind(manifests, "NetworkPolicy") if "Ingress" in one["spec"]["policyTypes"]]
    for name, pod in _pods(manifests):
        if not any(_selects(one["podSelector"], pod["metadata"]["labels"]) for one in policies):
            yield f"{name}: no NetworkPolicy selects it: all pods of the cluster reach it"
    for policy in _kind(manifests, "NetworkPolicy"):
        if any(not rule.get("from") for rule in policy["spec"].get("ingress", [])):
            yield f"{policy['metadata']['name']}: a rule without `from` lets all in"


def _clusters_scale(manifests: list[Manifest]) -> Iterator[str]:
    for manifest, spec in _clusters(manifests):
        kind, options = manifest["kind"], spec.get("autoscalerOptions", {})
        if not spec.get("enableInTreeAutoscaling") or options.get("version") != "v2":
            yield f"{kind}: enableInTreeAutoscaling and autoscalerOptions.version v2 must be set"
        if not options.get("idleTimeoutSeconds"):
            yield f"{kind}: autoscalerOptions.idleTimeoutSeconds must be given"
        least = 2 if kind == "RayService" else 0
        for group in spec["workerGroupSpecs"]:
            if group["minReplicas"] != least or group["replicas"] != least:
                yield f"{kind} {group['groupName']}: replicas and minReplicas must be {least}"


def _pods_are_bounded(manifests: list[Manifest]) -> Iterator[str]:
    for name, pod in _pods(manifests):
        spec = pod["spec"]
        if not spec.get("securityContext", {}).get("runAsNonRoot"):
            yield f"{name}: securityContext.runAsNonRoot must be true"
        for container in spec["containers"]:
            yield from (f"{name}: {problem}" for problem in _of_a_container(container))


def _of_a_container(container: dict[str, Any]) -> Iterator[str]:
    resources, security = container.get("resources", {}), container.get("securityContext", {})
    for part in ("limits", "requests"):
        if not {"cpu", "memory"} <= set(resources.get(part, {})):
            yield f"resources.{part} must say cpu and memory: Ray takes its own from there"
    if security.get("allowPrivilegeEscalation") is not False or security.get("capabilities") != {"drop": ["ALL"]}:
        yield "its container must drop all capabilities and not gain others"
    if unpinned(container["image"]):
        yield f"'{container['image']}' may be another image tomorrow; give a tag of a version, or a digest"


def _ray_pods_see_the_storage(manifests: list[Manifest]) -> Iterator[str]:
    for name, pod in _pods(manifests):
        if not name.startswith("Ray"):
            continue
        claimed = {one["name"] for one in pod["spec"].get("volumes", []) if "persistentVolumeClaim" in one}
        mounted = {one["name"]: one["mountPath"] for one in pod["spec"]["containers"][0].get("volumeMounts", [])}
        if "/shared" not in [mounted.get(one) for one in claimed]:
            yield f"{name}: no claim is mounted at /shared"


def _no_secret_is_written(manifests: list[Manifest]) -> Iterator[str]:
    for manifest in manifests:
        if manifest["kind"] == "Secret":
            yield f"{manifest['metadata']['name']}: a Secret is made by a command, not kept in a file"
        yield from secrets(manifest)
    for name, pod in _pods(manifests):
        for variable in (one for container in pod["spec"]["containers"] for one in container.get("env", [])):
            if "value" in variable and secrets({variable["name"]: variable["value"]}):
                yield f"{name}: {variable['name']} must come by secretKeyRef"


def _services_end_well(manifests: list[Manifest]) -> Iterator[str]:
    for manifest, spec in _clusters(_kind(manifests, "RayService")):
        lasts_s = yaml.safe_load(manifest["spec"]["serveConfigV2"])["http_options"]["request_timeout_s"]
        if "gcsFaultToleranceOptions" not in spec:
            yield "RayService: without gcsFaultToleranceOptions a lost head ends all that is served"
        if manifest["spec"].get("rayClusterDeletionDelaySeconds", 60) <= lasts_s:
            yield f"RayService: rayClusterDeletionDelaySeconds must be over {lasts_s:g}, or an update cuts answers off"
        for group in spec["workerGroupSpecs"]:
            pod = group["template"]["spec"]
            env = {one["name"]: one.get("value") for one in pod["containers"][0].get("env", [])}
            drain_s = float(env.get("RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S", 30))
            if not lasts_s < drain_s < pod.get("terminationGracePeriodSeconds", 30):
                yield f"{group['groupName']}: a question ({lasts_s:g} s) < its drain < its grace period must hold"
            spread = pod.get("topologySpreadConstraints", [])
            if not any(
                one["topologyKey"] == "kubernetes.io/hostname" and one["whenUnsatisfiable"] == "DoNotSchedule"
                for one in spread
            ):
                yield f"{group['groupName']}: two of its pods may share a machine, and go with it"


def _budgets_keep_what_serves(manifests: list[Manifest]) -> Iterator[str]:
    budgets = [one["spec"] for one in _kind(manifests, "PodDisruptionBudget")]
    for budget in budgets:
        if type(budget.get("minAvailable")) is not int:  # the disruption controller knows no scale of a Ray cluster
            yield "a PodDisruptionBudget of Ray pods must give minAvailable, in pods"
    for name, pod in _pods(manifests):
        needed = name.endswith(" head") or name.startswith("RayService")
        if needed and not any(_selects(one["selector"], pod["metadata"]["labels"]) for one in budgets):
            yield f"{name}: no PodDisruptionBudget keeps it"


def _names_do_not_collide(manifests: list[Manifest]) -> Iterator[str]:
    names = [one["metadata"]["name"] for one, _ in _clusters(manifests)]
    if len(set(names)) < len(names):
        yield f"two of {names} would share the service NAME-head-svc"
    for job in _kind(manifests, "RayJob"):
        selected = job["spec"].get("clusterSelector", {}).get("ray.io/cluster")
        if selected is not None and selected not in names:
            yield f"{job['metadata']['name']}: there is no cluster '{selected}'"


_RULES: tuple[Callable[[list[Manifest]], Iterator[str]], ...] = (
    _heads_run_no_tasks,
    _clusters_are_closed,
    _clusters_scale,
    _pods_are_bounded,
    _ray_pods_see_the_storage,
    _no_secret_is_written,
    _services_end_well,
    _budgets_keep_what_serves,
    _names_do_not_collide,
)
