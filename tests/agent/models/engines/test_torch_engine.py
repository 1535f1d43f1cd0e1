"""The local engine against transformers' own `generate`, one prompt at a time."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from fireact_ray.agent.models.base import Sampling

torch = pytest.importorskip("torch")
from torch_engines import CONTEXT, GREEDY, alone, make_engine, make_model, prompts  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.mark.parametrize(
    "changes",
    [{}, {"num_key_value_heads": 2}, {"attn_implementation": "eager"}, {"tie_word_embeddings": True}],
    ids=str,
)
async def test_a_batch_replies_what_each_prompt_gets_alone(changes: dict):
    model, asked = make_model(**changes), prompts(1, 2, 7, 7, 19, 40, 64, 90)
    engine = make_engine(model)
    replies = await asyncio.gather(*(engine.generate(prompt, GREEDY) for prompt in asked))
    assert [reply.ids for reply in replies] == [alone(model, prompt, 12) for prompt in asked]
    assert {reply.finish_reason for reply in replies} == {"length"}
    await engine.close()


async def test_prompts_that_fill_several_forward_passes_are_read_right(model):
    asked = prompts(*range(60, 116, 2))  # more than the tokens of one pass
    sampling = replace(GREEDY, max_new_tokens=4)
    engine = make_engine(model)
    replies = await asyncio.gather(*(engine.generate(prompt, sampling) for prompt in asked))
    assert [reply.ids for reply in replies] == [alone(model, prompt, 4) for prompt in asked]
    await engine.close()


async def test_more_requests_than_rows_and_late_ones_are_all_served(model):
    engine, asked = make_engine(model, max_batch=3), prompts(*range(5, 25))

    async def late(i: int, prompt: list[int]):
        await asyncio.sleep(0.002 * i)
        return await engine.generate(prompt, replace(GREEDY, max_new_tokens=1 + i % 7))

    replies = await asyncio.gather(*(late(i, prompt) for i, prompt in enumerate(asked)))
    assert [reply.ids for reply in replies] == [alone(model, prompt, 1 + i % 7) for i, prompt in enumerate(asked)]
    await engine.close()


@pytest.fixture
def computed(model) -> Iterator[list[int]]:
    """How many tokens each forward pass of the model was given."""
    passes: list[int] = []
    embedding = model.get_input_embeddings()
    handle = embedding.register_forward_hook(lambda module, args, output: passes.append(args[0].numel()))
    yield passes
    handle.remove()


async def test_only_what_is_new_of_a_conversation_is_computed(model, engine, computed: list[int]):
    conversations = prompts(50, 52, 54)
    for turn in range(3):
        computed.clear()
        replies = await asyncio.gather(*(engine.generate(prompt, GREEDY) for prompt in conversations))
        # A turn adds 12 reply tokens, of which the last was never fed back, and 5 of an observation.
        assert turn == 0 or max(computed) <= 3 * (1 + 5)
        assert [reply.ids for reply in replies] == [alone(model, p, 12) for p in conversations]
        conversations = [
            [*prompt, *reply.ids, *new]
            for prompt, reply, new in zip(conversations, replies, prompts(5, 5, 5, seed=turn), strict=True)
        ]


async def test_shared_instructions_are_computed_once(model, computed: list[int]):
    (instructions,) = prompts(80)
    asked = [[*instructions, *question] for question in prompts(6, 6, 6, seed=1)]
    engine = make_engine(model)
    first = await engine.generate(asked[0], GREEDY)
    computed.clear()
    others = await asyncio.gather(*(engine.generate(prompt, GREEDY) for prompt in asked[1:]))
    assert max(computed) <= 2 * 6
    assert [reply.ids for reply in (first, *others)] == [alone(model, prompt, 12) for prompt in asked]
    again = await engine.generate([*asked[0], *first.ids, 5], GREEDY)  # it has not been overwritten
    assert again.ids == alone(model, [*asked[0], *first.ids, 5], 12)
    await engine.close()


@pytest.mark.parametrize("changes", [{}, {"num_key_value_heads": 2}], ids=str)
async def test_rows_that_begin_alike_and_leave_at_different_times_reply_what_each_gets_alone(changes: dict):
    model, (instructions,) = make_model(**changes), prompts(80)
    asked = [[*instructions, *question] for question in prompts(6, 1, 17, 6, 9, 2, seed=1)]
    limits = (3, 12, 1, 20, 7, 12)  # the first row leaves early: another one holds what they share
    engine = make_engine(model)
    replies = await asyncio.gather(
        *(engine.generate(prompt, Sampling(max_new_tokens=n)) for prompt, n in zip(asked, limits, strict=True))
    )
    assert [reply.ids for reply in replies] == [alone(model, p, n) for p, n in zip(asked, limits, strict=True)]
    await engine.close()


async def test_a_reply_ends_before_the_end_token(model):
    (prompt,) = prompts(9)
    greedy = alone(model, prompt, 12)
    end = next(i for i in range(2, 12) if greedy.index(greedy[i]) == i)
    engine = make_engine(model, end_id=greedy[end])
    reply = await engine.generate(prompt, GREEDY)
    assert (reply.ids, reply.finish_reason) == (greedy[:end], "stop")
    await engine.close()


async def test_a_stop_string_that_spans_tokens_ends_its_own_row_only(model, engine):
    stopped, other = prompts(9, 11)
    greedy = alone(model, stopped, 12)
    stop = f"{greedy[4]}><{greedy[5]}"
    replies = await asyncio.gather(
        engine.generate(stopped, replace(GREEDY, stop=("never", stop))), engine.generate(other, GREEDY)
    )
    assert (replies[0].ids, replies[0].finish_reason) == (greedy[:6], "stop")
    assert (replies[1].ids, replies[1].finish_reason) == (alone(model, other, 12), "length")


async def test_each_row_has_its_own_limit(model, engine):
    (prompt,) = prompts(9)
    limits = (1, 5, 12)
    replies = await asyncio.gather(*(engine.generate(prompt, Sampling(max_new_tokens=limit)) for limit in limits))
    assert [reply.ids for reply in replies] == [alone(model, prompt, limit) for limit in limits]


async def test_a_seeded_reply_does_not_depend_on_its_neighbours(model, engine):
    asked = prompts(9, 11, 13, 30)
    hot = [Sampling(temperature=1.0, max_new_tokens=12, seed=seed) for seed in (1, 2, 3)]
    one_by_one = [(await engine.generate(asked[0], sampling)).ids for sampling in hot]
    assert len(set(one_by_one)) == 3
    together = await asyncio.gather(
        engine.generate(asked[3], GREEDY), *(engine.generate(asked[0], sampling) for sampling in hot)
    )
    assert [reply.ids for reply in together[1:]] == one_by_one
    assert together[0].ids == alone(model, asked[3], 12)


async def test_samples_follow_the_models_probabilities(model, engine):
    (prompt,) = prompts(9)
    probabilities = model(torch.tensor([prompt])).logits[0, -1].softmax(-1)
    likeliest = int(probabilities.argmax())
    samplings = [Sampling(temperature=1.0, max_new_tokens=1, seed=seed) for seed in range(400)]
    replies = await asyncio.gather(*(engine.generate(prompt, sampling) for sampling in samplings))
    share = sum(reply.ids == (likeliest,) for reply in replies) / 400
    assert share == pytest.approx(float(probabilities[likeliest].detach()), abs=0.08)  # three deviations


async def test_the_last_token_of_the_context_can_be_used(model, engine):
    (prompt,) = prompts(CONTEXT - 5)
    assert (await engine.generate(prompt, Sampling(max_new_tokens=5))).ids == alone(model, prompt, 5)
