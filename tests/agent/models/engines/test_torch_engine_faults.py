"""What the local engine refuses, and that one caller's end or fault leaves the others and the event loop alone."""

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from fireact_ray.agent.models.base import Sampling
from fireact_ray.core.errors import InputError, ModelRefused, ModelUnavailable, TokenLimit

pytest.importorskip("torch")
from torch_engines import CONTEXT, GREEDY, alone, make_engine, prompts

pytestmark = pytest.mark.torch


def test_a_model_of_a_shorter_context_is_refused(model):
    with pytest.raises(InputError, match="max_context is 129; this model was made for 128"):
        make_engine(model, max_context=129)


def test_a_model_that_sees_a_part_of_the_context_only_is_refused():
    from transformers import MistralConfig, MistralForCausalLM

    config = MistralConfig(vocab_size=32, hidden_size=64, intermediate_size=16, num_hidden_layers=1)
    config.sliding_window = 64
    model = MistralForCausalLM(config)
    with pytest.raises(InputError, match="has sliding_attention layers"):
        make_engine(model, max_context=65)
    make_engine(model, max_context=64)


@pytest.mark.parametrize(("length", "new"), [(0, 5), (CONTEXT - 4, 5), (CONTEXT, 1), (5, 0)])
async def test_what_does_not_fit_the_context_is_refused(engine, length: int, new: int):
    with pytest.raises(TokenLimit, match=f"from 1 to {CONTEXT} fit"):
        await engine.generate([5] * length, Sampling(max_new_tokens=new))


@pytest.mark.parametrize("unknown", [97, -1])
async def test_an_id_that_the_model_does_not_have_fails_its_own_request_only(model, engine, unknown: int):
    (prompt,) = prompts(9)
    replies = await asyncio.gather(
        engine.generate(prompt, GREEDY), engine.generate([5, unknown, 6], GREEDY), return_exceptions=True
    )
    assert replies[0].ids == alone(model, prompt, 12)
    assert isinstance(replies[1], ModelRefused)
    assert f"holds the id {unknown}; this model's are 0 to 96" in str(replies[1])


@asynccontextmanager
async def in_the_middle(model) -> AsyncIterator[None]:
    """Of replies of many tokens: the model stands still within its tenth pass until the end of the block."""
    passes, is_held, goes_on = itertools.count(1), threading.Event(), threading.Event()

    def hold(*_):
        if next(passes) == 10:
            is_held.set()
            assert goes_on.wait(60)

    handle = model.get_input_embeddings().register_forward_pre_hook(hold)
    try:
        assert await asyncio.to_thread(is_held.wait, 60)
        yield
    finally:
        goes_on.set()
        handle.remove()


async def test_a_cancelled_caller_leaves_the_others_alone(model, engine):
    asked = prompts(9, 11, 13)
    long = Sampling(max_new_tokens=100)
    tasks = [asyncio.create_task(engine.generate(prompt, long)) for prompt in asked]
    async with in_the_middle(model):
        tasks[1].cancel()
        await asyncio.wait({tasks[1]})
    replies = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(replies[1], asyncio.CancelledError)
    assert [replies[i].ids for i in (0, 2)] == [alone(model, asked[i], 100) for i in (0, 2)]


async def test_a_failure_reaches_everybody_and_the_engine_goes_on(model):
    asked = prompts(9, 11, 13)
    engine = make_engine(model, max_batch=2)  # the third waits
    passes, all_asked = 0, threading.Event()

    def fail_at_the_third_pass(*_):
        nonlocal passes
        passes += 1
        assert all_asked.wait(10)
        if passes == 3:
            raise RuntimeError("out of memory")

    handle = model.get_input_embeddings().register_forward_pre_hook(fail_at_the_third_pass)
    tasks = [asyncio.create_task(engine.generate(prompt, GREEDY)) for prompt in asked]
    await asyncio.sleep(0)  # all three stand in the queue
    all_asked.set()
    replies = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)
    handle.remove()
    assert [str(reply) for reply in replies] == ["out of memory"] * 3
    assert (await engine.generate(asked[0], GREEDY)).ids == alone(model, asked[0], 12)
    await engine.close()


async def test_the_event_loop_stays_free_while_the_model_works(model, engine):
    at_work, was_free = threading.Event(), threading.Event()

    def hold(*_):
        at_work.set()
        assert was_free.wait(10)

    handle = model.get_input_embeddings().register_forward_pre_hook(hold)
    asked = asyncio.create_task(engine.generate(prompts(20)[0], GREEDY))
    assert await asyncio.to_thread(at_work.wait, 10)
    was_free.set()  # by the loop, in the middle of a pass
    reply = await asked
    handle.remove()
    assert reply.ids == alone(model, prompts(20)[0], 12)


async def test_closing_ends_the_thread_and_whoever_still_waits(model):
    engine = make_engine(model, max_batch=1)
    tasks = [asyncio.create_task(engine.generate(p, Sampling(max_new_tokens=100))) for p in prompts(9, 9)]
    async with in_the_middle(model):
        closing = asyncio.create_task(engine.close())
        await asyncio.sleep(0)  # it says so, and waits for the thread
    await closing
    replies = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)
    assert {type(reply) for reply in replies} == {ModelUnavailable}
    assert not [thread for thread in threading.enumerate() if thread in engine._thread._threads]
    with pytest.raises(ModelUnavailable, match="is closed"):
        await engine.generate([5], GREEDY)
