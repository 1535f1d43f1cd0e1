"""Attention by rows and by a shared beginning, against torch's own on every row alone."""

import pytest

torch = pytest.importorskip("torch")
from torch.nn.functional import scaled_dot_product_attention  # noqa: E402

from fireact_ray.agent.models.engines.attention import (  # noqa: E402
    Apart,
    Shared,
    attend,
    attending,
    beginning,
    can_attend_so,
)

pytestmark = pytest.mark.torch

AT, TOKENS, WIDTH = 70, 90, 16


@pytest.mark.parametrize("n_keys", [4, 2, 1])
@pytest.mark.parametrize("n_new", [1, 3])
def test_rows_that_begin_alike_read_what_they_would_read_alone(n_keys: int, n_new: int):
    torch.manual_seed(0)
    query = torch.randn(5, n_new, 4, WIDTH).transpose(1, 2)  # as models lay it out
    keys, values = (torch.randn(5, n_keys, TOKENS, WIDTH) for _ in range(2))
    for states in (keys, values):
        states[:, :, :AT] = states[2, :, :AT]
    first_new = torch.tensor([AT, AT, 75, 80, TOKENS - n_new])  # two rows that have nothing of their own yet
    later = torch.arange(TOKENS) > (first_new[:, None] + torch.arange(n_new))[:, :, None]
    mask = torch.zeros(later.shape).masked_fill(later, torch.finfo(torch.float32).min)[:, None]
    found = attend(query, keys, values, mask, Shared(AT, holder=2), scale=0.3)
    alone = scaled_dot_product_attention(query, keys, values, attn_mask=mask, scale=0.3, enable_gqa=True)
    torch.testing.assert_close(found, alone)


@pytest.mark.parametrize("n_shared", [0, AT])
@pytest.mark.parametrize("n_keys", [4, 2, 1])
def test_rows_apart_read_what_their_slots_hold_and_nothing_behind_it(n_keys: int, n_shared: int):
    torch.manual_seed(0)
    query = torch.randn(4, 1, 4, WIDTH).transpose(1, 2)
    keys, values = (torch.randn(6, n_keys, TOKENS, WIDTH) for _ in range(2))
    slots, ends = (5, 0, 3, 1), (n_shared + 1, n_shared + 9, TOKENS, n_shared + 2)
    for states in (keys, values):
        states[:, :, :n_shared] = states[3, :, :n_shared]
        for slot, end in zip(slots, ends, strict=True):
            states[slot, :, end:] = 1e30  # whoever reads it is found
    shared = Shared(n_shared, holder=3) if n_shared else None
    apart = Apart(torch.tensor(slots), torch.tensor(ends), shared)
    for _ in range(2):  # two layers
        found = attend(query, keys, values, None, apart, scale=0.3)
        for i, (slot, end) in enumerate(zip(slots, ends, strict=True)):
            held = (states[slot : slot + 1, :, :end] for states in (keys, values))
            alone = scaled_dot_product_attention(query[i : i + 1], *held, scale=0.3, enable_gqa=True)
            torch.testing.assert_close(found[i : i + 1], alone)


def test_rows_that_attend_together_see_nothing_after_themselves():
    torch.manual_seed(0)
    query, keys, values = (torch.randn(2, 4, 5, WIDTH) for _ in range(3))
    found = attend(query, keys, values, None, None, scale=0.3)
    torch.testing.assert_close(found, scaled_dot_product_attention(query, keys, values, is_causal=True, scale=0.3))


def test_a_beginning_is_shared_from_64_tokens_on():
    ids = torch.arange(100).repeat(3, 1)
    ids[1, 64] = 7
    assert beginning(ids, holder=1) == Shared(64, holder=1)
    ids[2, 63] = 7
    assert beginning(ids, holder=1) is None
    assert beginning(ids[:, :0], holder=0) is None


def test_a_model_that_attends_in_another_way_is_left_alone():
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = {"vocab_size": 32, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    eager = LlamaForCausalLM(LlamaConfig(**shape, num_attention_heads=2, attn_implementation="eager"))
    assert not can_attend_so(eager)
    assert eager.config._attn_implementation == "eager"
    assert not can_attend_so(LlamaForCausalLM(LlamaConfig(**shape, num_attention_heads=2)).bfloat16())
    usual = LlamaForCausalLM(LlamaConfig(**shape, num_attention_heads=2)).eval()
    ids = torch.arange(20)[None]
    with torch.inference_mode():
        before = usual(ids).logits
        assert can_attend_so(usual)
        assert can_attend_so(usual)  # for a second engine
        torch.testing.assert_close(usual(ids).logits, before, rtol=0, atol=0)
        with attending(None):
            torch.testing.assert_close(usual(ids).logits, before, rtol=0, atol=0)
