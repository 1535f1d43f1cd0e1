"""The Kubernetes manifests: by keys written down here, by the real schemas where they are at hand, and by our rules."""

import copy
import functools
import importlib.util
import os
import tomllib
from pathlib import Path

import pytest
import yaml
from kube_keys import unknown
from kube_rules import problems
from manifests import KUBERAY, ROOT, documents

FILES = pytest.mark.parametrize("file", KUBERAY, ids=lambda file: file.stem)
ALL = [one for file in KUBERAY for one in documents(file.read_text())]
CRDS = os.environ.get("FIREACT_KUBERAY_CRDS")


def read(file):
    return documents(file.read_text())


def the(kind, manifests):
    return next(one for one in manifests if one["kind"] == kind)


@FILES
def test_a_shipped_manifest_holds_no_key_that_would_be_dropped(file):
    assert [problem for one in read(file) for problem in unknown(one)] == []


def test_a_misspelt_key_or_a_wrong_type_is_named():
    cluster = copy.deepcopy(the("RayCluster", ALL))
    cluster["spec"]["authOption"] = cluster["spec"].pop("authOptions")
    group = cluster["spec"]["workerGroupSpecs"][0]
    group["maxReplicas"] = "8"
    group["template"]["spec"]["containers"][0]["resources"]["limit"] = {}
    group["template"]["spec"]["volumes"] = {"name": "shared"}
    assert unknown(cluster) == [
        "spec.workerGroupSpecs.0.maxReplicas: int is wanted, this is '8'",
        "spec.workerGroupSpecs.0.template.spec.containers.0.resources.limit: no such key",
        "spec.workerGroupSpecs.0.template.spec.volumes: a list is wanted, this is {'name': 'shared'}",
        "spec.authOption: no such key",
    ]
    assert unknown({"apiVersion": "v1", "kind": "Secret"}) == ["('v1', 'Secret'): no manifest of ours is of this kind"]


@pytest.mark.skipif(
    CRDS is None, reason="FIREACT_KUBERAY_CRDS names no folder with KubeRay's CRDs (helm-chart/kuberay-operator/crds)"
)
@FILES
def test_kuberays_own_schemas_take_a_manifest_whole(file):
    import jsonschema

    for one in read(file):
        if one["apiVersion"] == "ray.io/v1":
            validator = jsonschema.Draft7Validator(schemas_of_kuberay(CRDS)[one["kind"]])
            assert [f"{error.json_path}: {error.message}" for error in validator.iter_errors(one)] == []
            misspelt = {**one, "spec": {**one["spec"], "entrypoints": "python"}}
            assert len(list(validator.iter_errors(misspelt))) == 1


@functools.cache
def schemas_of_kuberay(folder):
    found = {}
    for path in sorted(Path(folder).glob("*.yaml")):
        crd = yaml.load(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
        (version,) = [one for one in crd["spec"]["versions"] if one["name"] == "v1"]
        schema = closed(version["schema"]["openAPIV3Schema"])
        schema["properties"]["metadata"] = {"type": "object"}
        found[crd["spec"]["names"]["kind"]] = schema
    return found


def closed(schema):
    """`schema` with no other keys than it names, and Kubernetes' own words of a schema as JSON schema has them."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed(value) for key, value in schema.items() if key != "format"}
    if found.get("x-kubernetes-int-or-string") is True:
        return {"type": ["integer", "string"]}
    is_open = "additionalProperties" in found or found.get("x-kubernetes-preserve-unknown-fields")
    if found.get("type") == "object" and "properties" in found and not is_open:
        found["additionalProperties"] = False
    return found


@pytest.mark.skipif(
    importlib.util.find_spec("kubernetes_validate") is None, reason="kubernetes-validate is not installed"
)
@FILES
def test_kubernetes_own_schemas_take_a_manifest_whole(file):
    import kubernetes_validate

    for one in read(file):
        if one["apiVersion"] in ("v1", "apps/v1", "networking.k8s.io/v1", "policy/v1"):
            kubernetes_validate.validate(one, "1.30", strict=True)


def test_the_shipped_manifests_break_no_rule():
    assert problems(ALL) == []


def pod(manifests, kind, group=None):
    spec = the(kind, manifests)["spec"]
    spec = spec.get("rayClusterConfig", spec)
    groups = {one["groupName"]: one for one in spec["workerGroupSpecs"]}
    return (groups[group] if group else spec["headGroupSpec"])["template"]


def put(value, *path):
    def change(manifests):
        *head, last = path
        place = the(head[0], manifests)["spec"]
        for key in head[1:]:
            place = place[key]
        place[last] = value

    return change


def drop(kind, name):
    def change(manifests):
        manifests[:] = [one for one in manifests if (one["kind"], one["metadata"]["name"]) != (kind, name)]

    return change


def of_pod(kind, group, **given):
    return lambda manifests: pod(manifests, kind, group)["spec"].update(given)


def of_container(kind, group, **given):
    return lambda manifests: pod(manifests, kind, group)["spec"]["containers"][0].update(given)


KEY = [{"name": "OPENAI_API_KEY", "value": "abc"}]
BROKEN = {
    "RayCluster: the head must say": put({}, "RayCluster", "headGroupSpec", "rayStartParams"),
    "RayCluster: the head is on spot nodes": of_pod(
        "RayCluster", None, nodeSelector={"karpenter.sh/capacity-type": "spot"}
    ),
    "RayService: authOptions.mode": put({"mode": "disabled"}, "RayService", "rayClusterConfig", "authOptions"),
    "spec.networkPolicy is refused": put({"mode": "DenyAll"}, "RayCluster", "networkPolicy"),
    "must be ClusterIP": put("LoadBalancer", "RayCluster", "headGroupSpec", "serviceType"),
    "an Ingress shows the dashboard": put(True, "RayCluster", "headGroupSpec", "enableIngress"),
    "fireact-redis: NodePort": put("NodePort", "Service", "type"),
    "RayCluster gpu8: no NetworkPolicy selects it": drop("NetworkPolicy", "fireact-cluster"),
    "a rule without `from` lets all in": put([{"ports": [{"port": 8265}]}], "NetworkPolicy", "ingress"),
    "RayCluster: enableInTreeAutoscaling": put("v1", "RayCluster", "autoscalerOptions", "version"),
    "RayCluster cpu: replicas and minReplicas must be 0": put(1, "RayCluster", "workerGroupSpecs", 0, "minReplicas"),
    "RayService gpu: replicas and minReplicas must be 2": put(
        1, "RayService", "rayClusterConfig", "workerGroupSpecs", 0, "replicas"
    ),
    "RayCluster gpu: securityContext.runAsNonRoot": of_pod("RayCluster", "gpu", securityContext={}),
    "RayCluster cpu: resources.limits must say": of_container(
        "RayCluster", "cpu", resources={"requests": {"cpu": "1", "memory": "1Gi"}}
    ),
    "RayService head: its container must drop all": of_container("RayService", None, securityContext={}),
    "RayCluster cpu: 'fireact-ray:latest'": of_container("RayCluster", "cpu", image="fireact-ray:latest"),
    "RayCluster gpu8: no claim is mounted at /shared": of_container("RayCluster", "gpu8", volumeMounts=[]),
    "RayCluster cpu: OPENAI_API_KEY must come by": of_container("RayCluster", "cpu", env=KEY),
    "entrypoint: a secret is written": put("OPENAI_API_KEY=abc python job.py", "RayJob", "entrypoint"),
    "without gcsFaultToleranceOptions": lambda all_of: the("RayService", all_of)["spec"]["rayClusterConfig"].pop(
        "gcsFaultToleranceOptions"
    ),
    "rayClusterDeletionDelaySeconds must be over 130": put(60, "RayService", "rayClusterDeletionDelaySeconds"),
    "gpu: a question (130 s) < its drain": of_pod("RayService", "gpu", terminationGracePeriodSeconds=60),
    "gpu: two of its pods may share a machine": of_pod("RayService", "gpu", topologySpreadConstraints=[]),
    "must give minAvailable, in pods": put("50%", "PodDisruptionBudget", "minAvailable"),
    "RayService head: no PodDisruptionBudget": drop("PodDisruptionBudget", "fireact-serve-head"),
    "would share the service": lambda all_of: the("RayService", all_of)["metadata"].update(name="fireact"),
    "hotpotqa: there is no cluster 'other'": put({"ray.io/cluster": "other"}, "RayJob", "clusterSelector"),
}


@pytest.mark.parametrize("problem", BROKEN)
def test_each_rule_names_what_breaks_it(problem):
    manifests = copy.deepcopy(ALL)
    BROKEN[problem](manifests)
    assert any(problem in one for one in problems(manifests)), problems(manifests)


def test_a_secret_is_made_by_a_command_and_not_by_a_file():
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "spec": {}}
    assert "keys: a Secret is made by a command, not kept in a file" in problems([*ALL, secret])


def test_what_is_run_is_what_is_pinned():
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    ours = f"ghcr.io/example/fireact-ray:{version}"
    for manifest, spec in [(the("RayCluster", ALL), ()), (the("RayService", ALL), ("rayClusterConfig",))]:
        inner = manifest["spec"]
        for key in spec:
            inner = inner[key]
        assert inner["rayVersion"] == pins["ray"]
        for group in [inner["headGroupSpec"], *inner["workerGroupSpecs"]]:
            assert group["template"]["spec"]["containers"][0]["image"] in (f"{ours}-cpu", f"{ours}-cuda")


@pytest.mark.ray
def test_the_service_deploys_what_serve_takes_whole():
    from fireact_ray.stages.serve_config import check_serve_config

    assert check_serve_config(next(file for file in KUBERAY if file.stem == "service")) == "fireact at /"
