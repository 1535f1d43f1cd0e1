"""What fused kernels keep less, by the plan."""

from fireact_ray.training.config import TrainSettings
from fireact_ray.training.forecast.activations import Load, kept
from fireact_ray.training.forecast.model_shape import ModelShape

LLAMA_2_7B = ModelShape(4096, 11_008, 32, 32, 32, 128, 32_000)


def test_fused_norms_keep_what_comes_in_as_it_is_and_fused_mlps_no_activation_of_the_gate():
    torch, liger = (
        kept(LLAMA_2_7B, TrainSettings(kernels=kernels), Load(1, 100), bf16=True, on_gpu=True, stream=2)
        for kernels in ("torch", "liger")
    )
    norms, activation = 2 * (4 - 2) * 4096, 2 * 11_008  # bytes a token: two norms' fp32 and bf16; bf16
    assert torch.layer - liger.layer == 100 * (norms + activation)
    assert (torch.ends, torch.entry) == (liger.ends, liger.entry)
