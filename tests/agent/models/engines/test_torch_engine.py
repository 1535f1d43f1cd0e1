"""The local engine against transformers' own `generate`, one prompt at a time."""

import asyncio
import random
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from fireact_ray.agent.models.base import Sampling
from fireact_ray.core.errors import InputError, ModelRefused, ModelUnavailable, TokenLimit

torch = pytest.importorskip("torch")
from transformers import LlamaConfig, LlamaForCausalLM  # noqa: E402

from fireact_ray.agent.models.engines.torch_engine import Attached, TorchEngine  # noqa: E402

pytestmark = pytest.mark.torch

CONTEXT = 128
NO_END = 96  # a token that this model never chooses
GREEDY = Sampling(max_new_tokens=12)


def make_model(**changes):
    torch.manual_seed(3)
    shape = {
        "vocab_size": 97,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "max_position_embeddings": CONTEXT,
        "initializer_range": 0.3,
        "pad_token_id": 0,
        "bos_token_id": None,
        "eos_token_id": None,
    }
    model = LlamaForCausalLM(LlamaConfig(**{**shape, **changes})).eval()
    with torch.no_grad():
        model.lm_head.weight[NO_END] = 0
    return model


@pytest.fixture(scope="module")
def model():
    torch.set_num_threads(1)
    return make_model()


def decode(ids) -> str:
    return "".join(f"<{i}>" for i in ids)


def make_engine(model, **changes) -> TorchEngine:
    settings = {"end_id": NO_END, "pad_id": 0, "decode": decode, "max_context": CONTEXT}
    return TorchEngine(model, **{**settings, **changes})


@pytest.fixture
async def engine(model):
    engine = make_engine(model)
    yield engine
    await engine.close()


def prompts(*lengths: int, seed: int = 0) -> list[list[int]]:
    draw = random.Random(seed)
    return [[draw.randrange(1, 96) for _ in range(length)] for length in lengths]


def alone(model, prompt: list[int], n: int) -> tuple[int, ...]:
    """Greedy tokens by transformers' own loop."""
    ids = torch.tensor([prompt])
    out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=n, do_sample=False)
    return tuple(out[0, len(prompt) :].tolist())


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


async def test_the_last_token_of_the_context_can_be_used(model, engine):
    (prompt,) = prompts(CONTEXT - 5)
    assert (await engine.generate(prompt, Sampling(max_new_tokens=5))).ids == alone(model, prompt, 5)


async def test_a_cancelled_caller_leaves_the_others_alone(model, engine):
    asked = prompts(9, 11, 13)
    long = Sampling(max_new_tokens=100)
    tasks = [asyncio.create_task(engine.generate(prompt, long)) for prompt in asked]
    await asyncio.sleep(0.02)
    tasks[1].cancel()
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
    await asyncio.sleep(0.02)
    await engine.close()
    replies = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)
    assert {type(reply) for reply in replies} == {ModelUnavailable}
    assert not [thread for thread in threading.enumerate() if thread in engine._thread._threads]
    with pytest.raises(ModelUnavailable, match="is closed"):
        await engine.generate([5], GREEDY)


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
