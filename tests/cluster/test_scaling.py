"""What each file starts for what is asked, by the scheduler of Ray's autoscaler (v2), to which its files are given."""

import pytest
from manifests import CLUSTER, LAUNCHERS, document

pytestmark = pytest.mark.ray

ROLLOUT_WORKER = {"CPU": 0.5}
TRAIN_WORKER = {"CPU": 1, "GPU": 1}
FILES = [*LAUNCHERS, CLUSTER / "kuberay" / "cluster.yaml"]
EACH = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def autoscaling(file):
    from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr
    from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig

    given = document(file)
    if given.get("kind") == "RayCluster":
        given["metadata"]["namespace"] = "default"
        given = _derive_autoscaling_config_from_ray_cr(given)
    return AutoscalingConfig(given, skip_content_hash=True)  # prepare_config and validate_config, too


def started(file, tasks=(), group=()):
    """Nodes by type; all that is asked for has room on them. `tasks`: one by one; `group`: all or none."""
    nodes, n_left = scheduled(file, tasks, group)
    assert n_left == 0
    return nodes


def scheduled(file, tasks=(), group=()):
    """Nodes by type, and how many tasks and groups have no room. A task without a GPU asks as a rollout worker does."""
    from ray.autoscaler.v2.scheduler import ResourceDemandScheduler, SchedulingRequest
    from ray.autoscaler.v2.utils import ResourceRequestUtil
    from ray.core.generated.autoscaler_pb2 import GangResourceRequest

    config = autoscaling(file)
    make = ResourceRequestUtil.make
    gangs = [GangResourceRequest(requests=[make(one) for one in group])] if group else []
    request = SchedulingRequest(
        disable_launch_config_check=True,
        node_type_configs=config.get_node_type_configs(),
        max_num_nodes=config.get_max_num_nodes(),
        resource_requests=ResourceRequestUtil.group_by_count([make(one, (), selectors_of(one)) for one in tasks]),
        gang_resource_requests=gangs,
        idle_timeout_s=config.get_idle_timeout_s(),
    )
    reply = ResourceDemandScheduler().schedule(request)
    nodes = {one.instance_type: one.count for one in reply.to_launch if "head" not in one.instance_type}
    return nodes, len(reply.infeasible_resource_requests) + len(reply.infeasible_gang_resource_requests)


def selectors_of(task):
    """As Ray sends it: key, operator, values."""
    from ray.core.generated.common_pb2 import LabelSelectorOperator

    from fireact_ray.stages.crew import ELSEWHERE

    if "GPU" in task:
        return None
    assert all(value.startswith("!") for value in ELSEWHERE.values())
    return [[(key, LabelSelectorOperator.LABEL_OPERATOR_NOT_IN, [value[1:]]) for key, value in ELSEWHERE.items()]]


@EACH
def test_an_idle_cluster_is_its_head(file):
    assert started(file) == {}


@EACH
def test_generation_starts_cpu_nodes_only(file):
    assert started(file, tasks=[ROLLOUT_WORKER] * 4) == {"cpu": 1}
    assert started(file, tasks=[ROLLOUT_WORKER] * 128) == {"cpu": 8}


@EACH
def test_rollout_workers_for_which_cpu_nodes_have_no_room_wait_and_take_no_gpu_node(file):
    assert scheduled(file, tasks=[ROLLOUT_WORKER] * 129) == ({"cpu": 8}, 1)


@EACH
def test_training_on_one_gpu_starts_one_small_gpu_node(file):
    assert started(file, group=[TRAIN_WORKER]) == {"gpu": 1}


@EACH
def test_training_on_eight_gpus_starts_one_node_of_eight(file):
    assert started(file, group=[TRAIN_WORKER] * 8) == {"gpu8": 1}


@EACH
def test_an_evaluation_with_local_models_starts_gpu_nodes_for_its_workers(file):
    assert started(file, tasks=[{"CPU": 0.5, "GPU": 1}] * 2) == {"gpu": 2}


@pytest.mark.parametrize("file", LAUNCHERS, ids=lambda file: file.stem)
def test_each_node_gets_its_image_and_the_storage(file):
    config = autoscaling(file)
    images = {
        name: config.get_docker_config(name)["image"].rpartition("-")[2] for name in config.get_node_type_configs()
    }
    assert images == {"head": "cpu", "cpu": "cpu", "gpu": "cuda", "gpu8": "cuda"}
    for name in images:
        assert any("mount" in one and one.endswith(" /shared") for one in config.get_initialization_commands(name))
