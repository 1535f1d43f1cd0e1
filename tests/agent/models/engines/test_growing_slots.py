"""Slots as a GPU has them: they grow as conversations come and lengthen. On a CPU they have their full size at once."""

import pytest

torch = pytest.importorskip("torch")
from transformers import LlamaConfig, LlamaForCausalLM  # noqa: E402

from fireact_ray.agent.models.engines.kv_cache import CachedSlots  # noqa: E402

pytestmark = pytest.mark.torch

CONTEXT = 600
SHAPE = {
    "vocab_size": 50,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": CONTEXT,
    "initializer_range": 0.3,
}


class OnGpu(CachedSlots):
    """Its tensors stay here; everything else goes the way of a GPU."""

    def __init__(self, model) -> None:
        super().__init__(model, max_slots=8, max_context=CONTEXT, pad_id=0)
        self._device, self._by_rows, self.wants_neighbours = torch.device("cuda"), False, True

    def _to_device(self, tensor):
        return tensor


def test_what_has_grown_says_what_the_model_says():
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**SHAPE)).eval()
    slots, texts, sizes = OnGpu(model), [], []
    with torch.inference_mode():
        for n_tokens in (3, 40, 300, 5, 270, 520):  # of more than 256 tokens, and more of them than four
            text = torch.randint(50, (n_tokens,)).tolist()
            slot, known = slots.claim(text, busy=range(len(texts)))
            (logits,) = slots.extend([slot], [text[known:]])
            texts.append(text)
            sizes.append(slots._pass.capacity)
            torch.testing.assert_close(logits, model(torch.tensor([text])).logits[0, -1], rtol=1e-4, atol=1e-4)
        for _ in range(2):
            new = [[int(token)] for token in torch.randint(50, (len(texts),))]
            texts = [[*text, *more] for text, more in zip(texts, new, strict=True)]
            for text, logits in zip(texts, slots.extend(range(len(texts)), new), strict=True):
                torch.testing.assert_close(logits, model(torch.tensor([text])).logits[0, -1], rtol=1e-4, atol=1e-4)
    assert sizes == [(4, 257), (4, 257), (4, 513), (4, 513), (8, 513), (8, 601)]
