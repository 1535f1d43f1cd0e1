"""The pass in few calls against transformers' own."""

import pytest

torch = pytest.importorskip("torch")
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM  # noqa: E402

from fireact_ray.agent.models.engines.attention import attend  # noqa: E402
from fireact_ray.agent.models.engines.llama import llama_pass  # noqa: E402

pytestmark = pytest.mark.torch

CONTEXT = 64
SHAPE = {
    "vocab_size": 50,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": CONTEXT,
    "initializer_range": 0.3,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 16}


def made(kind=LlamaForCausalLM, config=LlamaConfig, **changes):
    torch.manual_seed(0)
    model = kind(config(**{**SHAPE, **changes})).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "bias" in name or "norm" in name:
                parameter.normal_(0.5)
    return model


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"num_key_value_heads": 2},
        {"attention_bias": True, "mlp_bias": True, "head_dim": 12},
        {"tie_word_embeddings": True, "hidden_act": "gelu", "rms_norm_eps": 0.1},
        {"rope_parameters": LLAMA3},
        {"rope_parameters": YARN},
    ],
    ids=str,
)
def test_its_logits_are_the_models_and_the_model_stays_as_it_was(changes: dict):
    model = made(**changes)
    ids = torch.randint(50, (3, 20))
    with torch.inference_mode():
        expected = model(ids).logits
    found = llama_pass(model, CONTEXT)
    assert found is not None
    positions, last = torch.arange(20).repeat(3, 1), torch.tensor([19, 3, 0])
    with torch.inference_mode():
        logits = found(ids, positions, last, lambda _, q, k, v, scale: attend(q, k, v, None, None, scale))
        torch.testing.assert_close(logits, expected[torch.arange(3), last], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(model(ids).logits, expected, rtol=0, atol=0)
    sizes = {
        parameter.untyped_storage().data_ptr(): parameter.untyped_storage().nbytes() for parameter in model.parameters()
    }
    assert sum(sizes.values()) == sum(parameter.nbytes for parameter in model.parameters())  # no second copy of any


def test_a_llama_that_computes_something_else_keeps_its_own_pass_and_it_is_said(caplog: pytest.LogCaptureFixture):
    model = made()
    model.model.layers[1].self_attn.scaling *= 3
    assert llama_pass(model, CONTEXT) is None
    assert "keeps the slower pass of transformers" in caplog.text


@pytest.mark.parametrize(
    "model",
    [
        lambda: made(Qwen2ForCausalLM, Qwen2Config),
        lambda: made().bfloat16(),
        lambda: made(rope_parameters={"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0}),
    ],
    ids=["another architecture", "bf16", "angles by length"],
)
def test_other_models_keep_theirs_without_a_word(model, caplog: pytest.LogCaptureFixture):
    assert llama_pass(model(), CONTEXT) is None
    assert not caplog.records
