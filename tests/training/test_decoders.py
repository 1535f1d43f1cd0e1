import pytest

from fireact_ray.training.decoders import why_not_varlen


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "llama"},
        {"model_type": "llama", "attention_dropout": 0.0},
        {"model_type": "mistral", "sliding_window": None},
        {"model_type": "qwen2", "sliding_window": 4096, "use_sliding_window": False},
        {"model_type": "qwen3", "sliding_window": None, "layer_types": ["full_attention"]},
    ],
)
def test_plain_causal_decoders_take_varlen_attention(config: dict):
    assert why_not_varlen(config) is None


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"model_type": "gemma2"}, "model_type 'gemma2' is not one of llama, mistral, qwen2, qwen3"),
        ({"model_type": "mistral"}, "this mistral looks back over a sliding window only"),  # 4096 unless it says null
        ({"model_type": "qwen2", "use_sliding_window": True}, "this qwen2 looks back over a sliding window only"),
        ({"model_type": "qwen3", "layer_types": ["sliding_attention"]}, "this qwen3 looks back over a sliding window"),
        ({"model_type": "llama", "attention_dropout": 0.1}, "this llama drops attention weights out"),
    ],
)
def test_all_others_do_not(config: dict, reason: str):
    assert why_not_varlen(config).startswith(reason)
