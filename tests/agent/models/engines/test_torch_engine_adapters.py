"""Adapters of one base in one batch of the local engine, against each of them alone."""

import asyncio

import pytest

torch = pytest.importorskip("torch")
from torch_engines import GREEDY, NO_END, alone, make_engine, make_model, prompts  # noqa: E402

from fireact_ray.agent.models.engines.torch_engine import Attached  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def adapted():
    """A model with two adapters of different ranks and places."""
    import peft

    model = peft.get_peft_model(make_model(), peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"]), "a")
    model.add_adapter("b", peft.LoraConfig(r=2, target_modules=["k_proj", "down_proj"]))
    torch.manual_seed(5)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.5)
    return model.eval()


def alone_by(model, adapter: str, prompt: list[int]) -> tuple[int, ...]:
    if adapter == "__base__":
        with model.disable_adapter():
            return alone(model, prompt, 12)
    model.set_adapter(adapter)
    return alone(model, prompt, 12)


async def test_adapters_of_one_base_reply_in_one_batch_what_each_does_alone(adapted):
    asked = [(n, prompt) for prompt in prompts(1, 7, 19, 19, 64) for n in range(3)]
    names = ("a", "__base__", "b")
    expected = [alone_by(adapted, names[n], prompt) for n, prompt in asked]
    engine = make_engine(adapted, adapters=names)
    engines = [Attached(engine, n, NO_END) for n in range(3)]
    replies = await asyncio.gather(*(engines[n].generate(prompt, GREEDY) for n, prompt in asked))
    assert [reply.ids for reply in replies] == expected
    assert len(set(expected[-3:])) == 3
    assert (await engine.generate(asked[0][1], GREEDY)).ids == expected[0]  # by the first
    stopped = await Attached(engine, 2, expected[-1][3]).generate(asked[-1][1], GREEDY)
    assert stopped.ids == expected[-1][: expected[-1].index(expected[-1][3])]  # each has its own end token
    await engine.close()


async def test_adapters_share_no_beginning(adapted):
    (instructions,) = prompts(80)
    asked = [[*instructions, *question] for question in prompts(6, 1, 17, seed=1)]
    expected = [alone_by(adapted, name, prompt) for name, prompt in zip(("a", "b", "a"), asked, strict=True)]
    engine = make_engine(adapted, adapters=("a", "b"))
    replies = await asyncio.gather(
        *(Attached(engine, n, NO_END).generate(prompt, GREEDY) for n, prompt in zip((0, 1, 0), asked, strict=True))
    )
    assert [reply.ids for reply in replies] == expected
    await engine.close()


async def test_what_one_adapter_has_read_is_not_known_to_another(adapted):
    (prompt,) = prompts(80)
    names = ("a", "b", "__base__")
    expected = [alone_by(adapted, name, prompt) for name in names]
    engine = make_engine(adapted, adapters=names)
    for n in (0, 1, 0, 2, 1):
        assert (await Attached(engine, n, NO_END).generate(prompt, GREEDY)).ids == expected[n]
    await engine.close()
