"""Varlen attention: examples in one line have the loss and the gradients that they have alone, on every model that
takes it, and no other model takes it."""

import logging

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from transformers import AutoConfig, AutoModelForCausalLM

from fireact_ray.core.errors import TrainingError
from fireact_ray.training import attention
from fireact_ray.training.attention import use_attention, varlen_attention
from fireact_ray.training.batching import collate
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.data import Row
from fireact_ray.training.loss import TrainedTokenLoss
from fireact_ray.training.model import prepare
from fireact_ray.training.segments import Segments

pytestmark = pytest.mark.torch

TINY = {
    "vocab_size": 32,
    "initializer_range": 0.2,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,  # wider than hidden_size / heads, as in Qwen3
}
KINDS = {"llama": {}, "mistral": {"sliding_window": None}, "qwen2": {}, "qwen3": {}}


def made(kind: str, **settings):
    torch.manual_seed(7)
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **TINY | KINDS[kind] | settings))


def examples() -> list[Row]:
    """Of 1 to 17 tokens, two of them one token long and beside each other: their positions are 0, 0."""
    draw = np.random.default_rng(5)
    lengths = (9, 1, 1, 17, 5, 3)
    return [Row(f"t{n}", draw.integers(1, 32, n).astype(np.int32), np.ones(n, np.int8)) for n in lengths]


def loss_and_gradients(model, batches) -> tuple[float, dict[str, torch.Tensor]]:
    model.zero_grad()
    total = torch.stack([TrainedTokenLoss(model)(*batch)[0] for batch in batches]).sum()
    total.backward()
    return total.item(), {name: p.grad.clone() for name, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("tuning", ["full", "lora"])
@pytest.mark.parametrize("kind", KINDS)
def test_examples_in_one_line_have_the_loss_and_the_gradients_that_they_have_alone(kind: str, tuning: str):
    runs = []
    for varlen in (False, True):
        config = TrainConfig(base_model="m", tuning=tuning, lora_dropout=0.0, attention="varlen" if varlen else "sdpa")
        torch.manual_seed(3)
        prepared = prepare(made(kind), config)
        for name, parameter in prepared.model.named_parameters():
            if "lora_B" in name:  # starts at zero, and so would the first factor's gradients
                torch.nn.init.normal_(parameter.data, std=0.1)
        assert prepared.varlen is varlen
        rows = examples()
        alone, together = [collate([[row]]) for row in rows], [collate([rows[:2], rows[2:5]], varlen=True)]
        runs.append(
            loss_and_gradients(prepared.model, [*together, collate([rows[5:]], varlen=True)] if varlen else alone)
        )
    (loss, gradients), (packed_loss, packed_gradients) = runs
    n = sum(row.n_trained for row in examples())
    assert n == 30
    assert abs(packed_loss - loss) <= 1e-5 * n
    assert max(float(g.abs().max()) for g in gradients.values()) > 0.1
    for name, gradient in gradients.items():
        assert float((packed_gradients[name] - gradient).abs().max()) <= 1e-5 * n, name


def dense(query, key, value, bounds, bounds_of_keys, longest, longest_key, *, scale, window_size, enable_gqa):
    """What torch documents of its kernel, by a dense mask: (T, H, D) and (T, K, D) -> (T, H, D)."""
    assert (window_size, bounds_of_keys is bounds, longest_key) == ((-1, 0), True, longest)
    assert {query.dtype, key.dtype, value.dtype} == {torch.bfloat16}
    assert longest == max(bounds.diff().tolist())
    number = torch.repeat_interleave(torch.arange(len(bounds) - 1), bounds.diff())
    mask = (number[:, None] == number[None, :]).tril()
    q, k, v = (x.transpose(0, 1)[None] for x in (query, key, value))
    return F.scaled_dot_product_attention(q, k, v, mask, scale=scale, enable_gqa=enable_gqa)[0].transpose(0, 1)


def dense_of_torch_2_11(q, k, v, cu_seq_q, cu_seq_k, max_q, max_k, *, scale, window_size):
    """Which has no `enable_gqa`, and wants as many heads of keys as of queries."""
    assert q.shape[1] == k.shape[1] == v.shape[1]
    return dense(q, k, v, cu_seq_q, cu_seq_k, max_q, max_k, scale=scale, window_size=window_size, enable_gqa=False)


@pytest.mark.parametrize("kernel", [dense, dense_of_torch_2_11])
def test_the_kernel_is_given_what_it_documents(monkeypatch: pytest.MonkeyPatch, kernel):
    """Full tuning under autocast: rotated queries and keys are fp32 there, and values bf16."""
    batch = collate([examples()], varlen=True)
    model = made("llama").train()
    assert use_attention(model, "auto")
    found = []
    for by_kernel in (False, True):
        if by_kernel:
            monkeypatch.setattr(attention, "varlen_attn", kernel)
            monkeypatch.setattr(attention, "_SHARES_KEYS", kernel is dense)
            monkeypatch.setattr(attention, "_has_kernel", lambda query: True)
        with torch.autocast("cpu", torch.bfloat16):
            found.append(loss_and_gradients(model, [batch]))
    (loss, gradients), (kernel_loss, kernel_gradients) = found
    assert kernel_loss == pytest.approx(loss, rel=1e-3)
    for name, gradient in gradients.items():
        torch.testing.assert_close(kernel_gradients[name], gradient, atol=0.1, rtol=0.05)


@pytest.mark.parametrize(
    ("kind", "settings", "reason"),
    [
        ("mistral", {"sliding_window": 8}, "this mistral looks back over a sliding window only"),
        ("qwen2", {"use_sliding_window": True, "max_window_layers": 1}, "this qwen2 looks back over a sliding window"),
        ("llama", {"attention_dropout": 0.1}, "this llama drops attention weights out"),
    ],
)
def test_a_model_for_which_it_would_be_wrong_keeps_masks_and_says_why(
    kind: str, settings: dict, reason: str, caplog: pytest.LogCaptureFixture
):
    model = made(kind, **settings)
    with caplog.at_level(logging.WARNING):
        assert use_attention(model, "auto") is False
    assert reason in caplog.text
    assert model.config._attn_implementation == "sdpa"
    with pytest.raises(TrainingError, match=f"attention is varlen, but {reason}.* Set it to auto or sdpa"):
        use_attention(model, "varlen")


def test_what_is_saved_of_a_model_does_not_name_it(tmp_path):
    model = made("llama")
    before = model.config.to_json_string()
    use_attention(model, "varlen")
    assert model.config.to_json_string() == before


def test_other_uses_than_one_line_with_segments_are_refused():
    model = made("llama")
    use_attention(model, "varlen")
    with pytest.raises(ValueError, match="takes one line with its segments and no mask"):
        model(input_ids=torch.ones(1, 4, dtype=torch.long))
    two = torch.zeros(2, 4, 5, 16)
    with pytest.raises(ValueError, match="takes one line"):
        varlen_attention(model, two, two, two, None, scaling=1.0, segments=Segments.of([5]))
