import pytest

torch = pytest.importorskip("torch")

from fireact_ray.demo.nano.architecture import nano_config, nano_model  # noqa: E402

pytestmark = pytest.mark.torch


def _copy_accuracy(model: "torch.nn.Module") -> float:
    """Share of random tokens foreseen the second time around."""
    ids = torch.randint(2, 1536, (8, 40), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = model(input_ids=torch.cat([ids, ids], dim=1)).logits
    return float((logits[:, 40:-1].argmax(-1) == ids[:, 1:]).float().mean())


def test_an_untrained_model_copies_where_a_plain_one_does_not() -> None:
    config = nano_config(vocabulary=1536, eos_id=1, pad_id=0)
    assert _copy_accuracy(nano_model(config, seed=0, induction=False)) < 0.02
    assert _copy_accuracy(nano_model(config, seed=0)) > 0.2


def test_the_first_heads_attend_to_the_token_before() -> None:
    config = nano_config(vocabulary=1536, eos_id=1, pad_id=0)
    config._attn_implementation = "eager"
    model = nano_model(config, seed=0)
    ids = torch.randint(2, 1536, (1, 200), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        attention = model(input_ids=ids, output_attentions=True).attentions[0][0, :2]  # (heads, 200, 200)
    assert attention.diagonal(offset=-1, dim1=1, dim2=2).mean() > 0.8
