"""vLLM on this CPU against the torch engine and transformers' own `generate`: `make test-vllm` has the environment.

One engine for the base and two adapters of it; its core is a process, started once for this file and killed at its end.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("vllm", reason="vLLM has an environment of its own: make test-vllm")

import torch
from nano_adapters import write_adapter
from prometheus_client import REGISTRY

from fireact_ray.agent.models.base import Sampling
from fireact_ray.agent.models.engines.vllm_engine import Answering, CoreDied, VllmCore, VllmEngine
from fireact_ray.core.errors import InputError, ModelRefused, TokenLimit
from fireact_ray.core.paths import NANO_DIR
from fireact_ray.recipe import vllm_student
from fireact_ray.recipe.engines import VllmConfig
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.recipe.student import StudentAgents, local_student, open_student
from fireact_ray.recipe.vllm_student import open_vllm
from fireact_ray.rendering.tokenizer import HubTokenizer
from fireact_ray.training.artifacts import load_trained

pytestmark = [pytest.mark.vllm, pytest.mark.asyncio(loop_scope="module")]

CONTEXT = 512
GREEDY = Sampling(max_new_tokens=40)
NEVER_SAID = 0  # the unknown token: with it as end token no greedy reply ends by itself
TEXTS = [
    "Question: When was Welrel Brambram born?\nThought:",
    "Question: Who wrote The Road to Zem?\nThought:",
    "<s> [INST] hello [/INST]",
    "  two spaces,\ttab\n\n\nand lines  ",
    "Größe 中文 🙂 é",
    "The",
]
TOKENIZER = HubTokenizer.load(str(NANO_DIR))
PROMPTS = [TOKENIZER.encode(text) for text in TEXTS] + [TOKENIZER.encode(text * 9)[:300] for text in TEXTS[:3]]


def agents(folder: Path | str) -> StudentAgents:
    recipe = load_recipe("demo", [f"student.max_context={CONTEXT}", "student.precision=fp32", "serve.engine=vllm"])
    return StudentAgents(recipe, str(folder), few_shot=False)


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> list[Path]:
    """The base, whose files ask for other sampling and more end tokens, and two adapters of it of different ranks."""
    root = tmp_path_factory.mktemp("models")
    base = shutil.copytree(NANO_DIR, root / "base")
    ends = [TOKENIZER.eos_id, *TOKENIZER.encode("\n"), *TOKENIZER.encode(".")]
    wishes = {"eos_token_id": ends, "do_sample": True, "temperature": 0.7, "repetition_penalty": 1.5}
    (base / "generation_config.json").write_text(json.dumps(wishes))
    return [base, *(write_adapter(root / f"rank-{rank}", seed=rank, rank=rank, base=base) for rank in (4, 9))]


@pytest.fixture(scope="module")
def core(folders):
    def observed(*args, **kwargs):
        return {**settings(*args, **kwargs), "disable_log_stats": False}

    settings = vllm_student.vllm_settings
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(vllm_student, "vllm_settings", observed)
        opened = open_vllm([agents(folder) for folder in folders], agents("x").recipe.serve.engine.vllm)
    yield opened
    asyncio.run(opened.close())


def engine(core: VllmCore, folder: Path):
    return core.engines[agents(folder).model_key]


def generated(folder: Path, prompt: list[int], n: int) -> list[int]:
    """By transformers and PEFT, the adapter beside its base, without the end token."""
    model = load_trained(folder).model
    ids = torch.tensor([prompt])
    out = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        repetition_penalty=1.0,
        max_new_tokens=n,
        eos_token_id=TOKENIZER.eos_id,
        pad_token_id=TOKENIZER.eos_id,
    )
    return [token for token in out[0, len(prompt) :].tolist() if token != TOKENIZER.eos_id]


async def by_torch(folder: Path, prompts: list[list[int]], *samplings: Sampling):
    chat = open_student(str(folder), local_student(agents(folder).recipe), on_gpu=False)
    asked = [chat.engine.generate(prompt, sampling) for prompt in prompts for sampling in samplings]
    replies = await asyncio.gather(*asked)
    await chat.close()
    return replies


async def test_greedy_replies_of_base_and_adapters_in_one_batch_are_those_of_both_others(core, folders):
    asked = [(folder, prompt) for folder in folders for prompt in PROMPTS]
    replies = await asyncio.gather(*(engine(core, folder).generate(prompt, GREEDY) for folder, prompt in asked))
    told = dict(zip([(str(f), tuple(p)) for f, p in asked], replies, strict=True))
    for folder in folders:
        ours = [told[str(folder), tuple(prompt)] for prompt in PROMPTS]
        assert ours == await by_torch(folder, PROMPTS, GREEDY)
        assert [list(reply.ids) for reply in ours] == [generated(folder, prompt, 40) for prompt in PROMPTS]
    assert len({told[str(folder), tuple(PROMPTS[0])].ids for folder in folders}) == 3  # each its own


async def test_what_a_model_has_read_is_read_once_and_is_not_known_to_another(core, folders):
    prompt = TOKENIZER.encode("When was Fulwom Thesfer born? " * 60)[:400]
    known = []
    for folder in (folders[1], folders[2], folders[0], folders[1]):
        before = counted("prefix_cache_hits_total")
        reply = await engine(core, folder).generate(prompt, GREEDY)
        assert [reply] == await by_torch(folder, [prompt], GREEDY)
        await engine(core, folder).generate([5], Sampling(max_new_tokens=2))  # a step later the core has told
        known.append(counted("prefix_cache_hits_total") - before)
    assert known == [0, 0, 0, 384]  # whole blocks of 32


def counted(what: str) -> float:
    return sum(
        sample.value for metric in REGISTRY.collect() for sample in metric.samples if sample.name == f"vllm:{what}"
    )


async def test_stop_strings_end_where_those_of_the_torch_engine_do_however_many(core, folders):
    base = engine(core, folders[0])
    whole = await base.generate(PROMPTS[0], GREEDY)
    text = TOKENIZER.decode(whole.ids)
    spanning, newline = text[len(text) // 2 - 3 : len(text) // 2 + 3], "\n"
    never = tuple(f"never {n}" for n in range(9))
    samplings = [replace(GREEDY, stop=stop) for stop in ((spanning,), (newline,), (*never, spanning), never)]
    replies = await asyncio.gather(*(base.generate(prompt, how) for prompt in PROMPTS for how in samplings))
    assert replies == await by_torch(folders[0], PROMPTS, *samplings)
    assert replies[0].finish_reason == replies[2].finish_reason == "stop"
    assert replies[0].ids == whole.ids[: len(replies[0].ids)] != whole.ids
    assert replies[3] == whole


async def test_a_seeded_reply_repeats(core, folders):
    hot = [Sampling(temperature=1.0, max_new_tokens=12, seed=seed) for seed in (1, 2, 3, 1, 2, 3)]
    found = [(await engine(core, folders[0]).generate(PROMPTS[0], how)).ids for how in hot]
    assert len(set(found[:3])) == 3
    assert found[:3] == found[3:]


@pytest.mark.parametrize(("length", "new"), [(0, 5), (CONTEXT - 4, 5), (CONTEXT, 1), (5, 0)])
async def test_what_does_not_fit_the_context_is_refused(core, folders, length: int, new: int):
    with pytest.raises(TokenLimit, match=f"from 1 to {CONTEXT} fit"):
        await engine(core, folders[0]).generate([5] * length, Sampling(max_new_tokens=new))


async def test_the_last_token_of_the_context_can_be_used(core, folders):
    prompt = (PROMPTS[0] * 40)[: CONTEXT - 5]
    reply = await engine(core, folders[0]).generate(prompt, Sampling(max_new_tokens=5))
    assert [reply] == await by_torch(folders[0], [prompt], Sampling(max_new_tokens=5))


async def test_an_id_outside_the_vocabulary_fails_its_own_request_only(core, folders):
    base = engine(core, folders[0])
    other = asyncio.create_task(base.generate(PROMPTS[0], GREEDY))
    with pytest.raises(ModelRefused, match="holds the id 10000000; this model's are 0 to 1535"):
        await base.generate([10_000_000], GREEDY)
    assert [await other] == await by_torch(folders[0], PROMPTS[:1], GREEDY)


def at_work(what: str) -> float:
    return counted(f"num_requests_{what}")


async def test_a_cancelled_caller_ends_its_reply_in_the_core_and_leaves_the_others_alone(core, folders):
    base, long = engine(core, folders[0]), Sampling(max_new_tokens=CONTEXT - 100)
    endless = VllmEngine(core, Answering("endless", None, NEVER_SAID, TOKENIZER.decode), None)
    slow = replace(long, stop=("never",))  # told of by token
    tasks = [asyncio.create_task(endless.generate([5, n], how)) for n in range(6, 10) for how in (long, slow)]
    for _ in range(1000):
        if at_work("running") == 8:
            break
        await asyncio.sleep(0.01)
    assert at_work("running") == 8
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert all(task.cancelled() for task in tasks)
    reply = await base.generate(PROMPTS[0], Sampling(max_new_tokens=3))  # a step later the core has told
    assert (at_work("running"), at_work("waiting")) == (0, 0)
    assert core.llm.get_num_unfinished_requests() == 0
    assert [reply] == await by_torch(folders[0], PROMPTS[:1], Sampling(max_new_tokens=3))


async def test_a_core_that_cannot_start_says_why_in_one_line(folders, tmp_path):
    tiny = VllmConfig(kv_cache_gib=0.0001)
    with stderr_in(tmp_path / "said"), pytest.raises(InputError) as raised:
        open_vllm([agents(folders[0])], tiny)
    assert re.fullmatch(
        r"vLLM cannot start with \S+/base: No available memory for the cache blocks\..*", str(raised.value)
    )


async def test_a_context_longer_than_the_model_s_is_told_before_a_core_is_started(folders):
    recipe = load_recipe("demo", ["student.max_context=4096", "serve.engine=vllm"])
    with pytest.raises(
        InputError, match=r"cannot start with \S+/base: User-specified max_model_len \(4096\) is greater"
    ):
        open_vllm([StudentAgents(recipe, str(folders[0]), few_shot=False)], recipe.serve.engine.vllm)


@contextmanager
def stderr_in(file: Path) -> Iterator[None]:
    """As that of a Ray worker is."""
    kept, opened = os.dup(2), os.open(file, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(opened, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(opened)


async def test_a_core_that_was_killed_is_told_as_such(core, folders):
    await core.check()
    waiting = asyncio.create_task(engine(core, folders[0]).generate([5, 6], Sampling(max_new_tokens=CONTEXT - 10)))
    await asyncio.sleep(0)
    for process in core.llm.engine_core.resources.engine_manager.processes:
        os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(CoreDied, match="vLLM's core has ended"):
        await waiting
    with pytest.raises(CoreDied):
        await core.check()
    with pytest.raises(CoreDied):
        await engine(core, folders[0]).generate(PROMPTS[0], GREEDY)
