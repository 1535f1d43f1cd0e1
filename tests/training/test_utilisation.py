import numpy as np
import pytest
import torch

from fireact_ray.training.config import TrainConfig
from fireact_ray.training.data import Row, Sizes
from fireact_ray.training.forecast.gpus import find_gpu, gpu_of_driver
from fireact_ray.training.forecast.model_shape import ModelShape
from fireact_ray.training.utilisation import mfu_of_one, share_of_peak

pytestmark = pytest.mark.torch

LLAMA_2_7B = ModelShape(4096, 11_008, 32, 32, 32, 128, 32_000)
ROW = Row("t", np.zeros(1000, np.int32), np.array([0] * 500 + [1] * 500, np.int8))
FULL = TrainConfig(base_model="b", tuning="full")


def test_the_utilisation_of_llama_2_7b_is_six_flops_a_weight_and_causal_attention_over_the_peak():
    # 6 x (6,476,005,376 weights of layers + half of the head's 131,072,000) + 6 x 32 x 4096 x 1000 for attention
    flops = 6 * (6_476_005_376 + 65_536_000) + 6 * 32 * 4096 * 1000
    share = share_of_peak(LLAMA_2_7B, FULL, Sizes.of([ROW]), find_gpu("H100"), workers=2, bf16=True)
    assert share == pytest.approx(flops / (2 * 989e12))
    assert 12_000 * share == pytest.approx(0.243, abs=0.001)  # 12,000 tokens a second on two of them


def test_it_is_unknown_where_the_peak_is():
    assert share_of_peak(LLAMA_2_7B, FULL, Sizes.of([ROW]), find_gpu("T4"), workers=1, bf16=True) is None
    assert gpu_of_driver("NVIDIA H100 PCIe") is None
    assert gpu_of_driver("NVIDIA H100 80GB HBM3") == find_gpu("H100")
    assert mfu_of_one(FULL, Sizes.of([ROW]), torch.device("cpu"), 1, bf16=False) is None
