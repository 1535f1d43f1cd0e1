"""The table of sizes in docs/clusters.md: what the plan of a training says, and whether the nodes hold it."""

import pytest
from manifests import CLUSTER, ROOT, document
from model_configs import CONFIGS

from fireact_ray.recipe.loader import load_recipe
from fireact_ray.training.forecast.fitting import Training, fits, memory_on
from fireact_ray.training.forecast.gpus import find_gpu
from fireact_ray.training.forecast.memory import GIB
from fireact_ray.training.forecast.model_shape import ModelShape

GPUS = {"gpu": ("L40S", "A100-40"), "gpu8": ("A100-80", "H100")}  # of aws.yaml and gcp.yaml; others that will do
FULL_ON_8 = ("train.tuning=full", "train.activation_checkpointing=1", "train.sharding=fsdp2", "train.workers=8")
SIZES = [
    ("hotpotqa", (), "gpu", "35.1 GiB"),
    ("hotpotqa", FULL_ON_8, "gpu8", "18.7 GiB each"),
    ("hotpotqa-codellama-34b", (*FULL_ON_8, "train.micro_batch_tokens=2048"), "gpu8", "76.8 GiB each, 142 GiB"),
    ("hotpotqa-codellama-34b", (*FULL_ON_8, "train.offload_optimizer=true"), "gpu8", "46.4 GiB each, 488 GiB"),
]


@pytest.mark.parametrize(("name", "settings", "node", "told"), SIZES)
def test_a_size_is_planned_as_the_docs_say_and_its_node_holds_it(name, settings, node, told):
    recipe = load_recipe(name, settings)
    training = Training(
        ModelShape.from_config(CONFIGS[name]), recipe.train, recipe.convert.max_length, recipe.train.workers.min
    )
    docs = (ROOT / "docs" / "clusters.md").read_text()
    assert f"| {told}" in docs
    groups = document(CLUSTER / "kuberay" / "cluster.yaml")["spec"]["workerGroupSpecs"]
    (group,) = [one for one in groups if one["groupName"] == node]
    limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert limits["nvidia.com/gpu"] == recipe.train.workers.min
    for gpu in map(find_gpu, GPUS[node]):
        planned = memory_on(training, gpu)
        assert fits(training, gpu)
        assert told.startswith(f"{planned.worker / GIB:.1f} GiB")
        assert planned.host / GIB < float(limits["memory"].removesuffix("Gi"))
        if "," in told:
            assert told.endswith(f"{planned.host / GIB:.0f} GiB")
