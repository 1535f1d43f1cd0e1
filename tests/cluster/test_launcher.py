"""The files of Ray's cluster launcher, by Ray's own checks, by our rules, and by what its autoscaler would start."""

import copy

import pytest
import yaml
from launcher_rules import problems
from manifests import LAUNCHERS, document, documents

FILES = pytest.mark.parametrize("file", LAUNCHERS, ids=lambda file: file.stem)
AWS = next(file for file in LAUNCHERS if file.stem == "aws")
GCP = next(file for file in LAUNCHERS if file.stem == "gcp")


@FILES
def test_a_shipped_file_breaks_no_rule(file):
    assert problems(document(file)) == []


def at(config, *path):
    for key in path:
        config = config[key]
    return config


def without(config, *path):
    at(config, *path[:-1]).pop(path[-1])


def put(config, value, *path):
    at(config, *path[:-1])[path[-1]] = value


TYPES = "available_node_types"
OPTIONS = ("docker", "run_options")
BROKEN = {
    "the head must say": lambda c: put(c, 8, TYPES, "head", "resources", "CPU"),
    "the head is a spot node": lambda c: put(
        c, {"MarketType": "spot"}, TYPES, "head", "node_config", "InstanceMarketOptions"
    ),
    "cpu: min_workers must be 0": lambda c: put(c, 1, TYPES, "cpu", "min_workers"),
    "gpu: `resources` must say": lambda c: put(c, {}, TYPES, "gpu", "resources"),
    "gpu8: max_workers": lambda c: without(c, TYPES, "gpu8", "max_workers"),
    "idle_timeout_minutes": lambda c: without(c, "idle_timeout_minutes"),
    "must say --dashboard-host=127.0.0.1": lambda c: put(c, ["ray start --head"], "head_start_ray_commands"),
    "head_start_ray_commands.1: 0.0.0.0 is open": lambda c: put(
        c, ["ray start --head --dashboard-host=127.0.0.1", "serve start --http-host 0.0.0.0"], "head_start_ray_commands"
    ),
    "worker: RAY_AUTH_MODE=token": lambda c: at(c, *OPTIONS).remove("--env=RAY_AUTH_MODE=token"),
    "provider.security_group.IpPermissions.0.CidrIp: 0.0.0.0/0": lambda c: put(
        c, {"IpPermissions": [{"CidrIp": "0.0.0.0/0"}]}, "provider", "security_group"
    ),
    "cpu: SecurityGroupIds must be given": lambda c: without(c, TYPES, "cpu", "node_config", "SecurityGroupIds"),
    "docker.image: 'r/i:latest'": lambda c: put(c, "r/i:latest", "docker", "image"),
    "gpu.docker.worker_image: 'r/i'": lambda c: put(c, "r/i", TYPES, "gpu", "docker", "worker_image"),
    "gpu8: ImageId": lambda c: put(c, "latest_dlami", TYPES, "gpu8", "node_config", "ImageId"),
    "must pass the shared storage on": lambda c: at(c, *OPTIONS).remove("--volume=/shared:/shared"),
    "gpu: nothing mounts /shared": lambda c: put(c, ["nvidia-smi"], TYPES, "gpu", "initialization_commands"),
    "run_options.6: a secret": lambda c: at(c, *OPTIONS).append("--env=OPENAI_API_KEY=abc"),
    "head_setup_commands.0: a secret": lambda c: put(c, ["echo sk-0123456789abcdefghij > key"], "head_setup_commands"),
    "metadata.api_key: a secret": lambda c: put(c, "abc", "metadata", "api_key"),
}


@pytest.mark.parametrize("problem", BROKEN)
def test_each_rule_names_what_breaks_it(problem):
    config = copy.deepcopy(document(AWS))
    BROKEN[problem](config)
    assert any(problem in one for one in problems(config)), problems(config)


def test_what_only_google_asks():
    config = copy.deepcopy(document(GCP))
    boot = at(config, TYPES, "cpu", "node_config", "disks")[0]["initializeParams"]
    boot["sourceImage"] = "projects/deeplearning-platform-release/global/images/family/common-cpu"
    put(config, [{"preemptible": True}], TYPES, "gpu", "node_config", "scheduling")
    put(config, {"preemptible": True}, TYPES, "head", "node_config", "scheduling")
    found = "\n".join(problems(config))
    for problem in ("a family moves", "gpu: `scheduling` is a mapping", "the head is a spot node"):
        assert problem in found


def test_a_key_that_is_given_twice_is_refused():
    with pytest.raises(yaml.YAMLError, match="the key 'image' is given twice"):
        documents("docker:\n  image: a:1\n  image: b:1\n")


def test_both_files_start_nodes_of_the_same_names():
    aws, gcp = document(AWS), document(GCP)
    assert list(aws[TYPES]) == list(gcp[TYPES]) == ["head", "cpu", "gpu", "gpu8"]
    for own in (
        "file_mounts",
        "docker",
        "head_start_ray_commands",
        "worker_start_ray_commands",
        "idle_timeout_minutes",
    ):
        assert aws[own] == gcp[own]
