"""A provider that really trains, by our own loop, from our training file: its model is evaluated and served as ours."""

import asyncio
import json
import threading

import httpx
import pytest
from plain_run import generate_here
from provider import Chat, Provider

from fireact_ray.agent.models.base import Sampling
from fireact_ray.agent.models.local import LocalChat
from fireact_ray.core.paths import NANO_DIR
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import read_trajectories
from fireact_ray.core.types import Turn
from fireact_ray.data.dataset.tokenize_rows import tokenize
from fireact_ray.data.examples import conversation
from fireact_ray.demo.teacher.server import ScriptedTeacher
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.student import open_student
from fireact_ray.recipe.students import StudentConfig
from fireact_ray.rendering import make_renderer
from fireact_ray.rendering.tokenizer import HubTokenizer
from fireact_ray.stages.convert import convert
from fireact_ray.stages.evaluate import evaluate
from fireact_ray.stages.serve import serving
from fireact_ray.stages.train_student import train_student
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.loop import train as train_here

from .conftest import small_recipe

pytestmark = [pytest.mark.ray, pytest.mark.torch]

TUNED = "ft:small:house:agent:1"


class NanoHouse:
    """Trains the nano on uploaded messages, and answers by what came of it. Engines live on a loop of their own."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="engines", daemon=True).start()

    def train(self, rows, hyperparameters, on_step) -> Chat:
        renderer = make_renderer("plain", HubTokenizer.load(str(NANO_DIR)))
        dataset = Folder(str(self.folder / "dataset"))
        keys = [f"r{place:04d}" for place in range(len(rows))]
        dataset.write_table("part-000.parquet", tokenize(keys, [turns_of(row) for row in rows], renderer))
        about = {"renderer": "plain", "renderer_fingerprint": renderer.fingerprint}
        dataset.write_json("manifest.json", about)
        config = TrainConfig(
            base_model="nano",
            tuning="full",
            epochs=hyperparameters["n_epochs"],
            learning_rate=1.5e-3,
            global_batch_size=4,
            log_every_steps=1,
            precision="fp32",
        )
        train_here(
            config,
            dataset.local_path,
            self.folder / "model",
            on_log=lambda entry: on_step(entry["step"], entry["of"], entry["loss"]),
        )
        return self.chat(str(self.folder / "model"))

    def chat(self, model_dir: str) -> Chat:
        model = asyncio.run_coroutine_threadsafe(self._open(model_dir), self._loop).result()

        def answer(messages) -> str:
            asked = model.complete(turns_of(messages), Sampling(max_new_tokens=96))
            return asyncio.run_coroutine_threadsafe(asked, self._loop).result().text

        return answer

    async def _open(self, model_dir: str) -> LocalChat:
        return open_student(model_dir, StudentConfig(), on_gpu=False)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)


def turns_of(messages) -> list[Turn]:
    """As a provider reads them: an assistant's message is learnt unless it weighs nothing."""
    return [
        Turn(message["role"], message["content"], message["role"] == "assistant" and message.get("weight", 1) != 0)
        for message in messages
    ]


@pytest.fixture(scope="module")
def provider(tmp_path_factory):
    house = NanoHouse(tmp_path_factory.mktemp("house"))
    with Provider(train=house.train, page=7) as running:
        running.models["small"] = house.chat(str(NANO_DIR))
        yield running
    house.close()


@pytest.fixture(scope="module")
def trained(tmp_path_factory, local_ray, provider) -> Recipe:
    access = f"base_url: '{provider.base_url}', api_key_env: null"
    student = (
        f"{{kind: openai-ft, name: small, {access}, suffix: agent, n_epochs: 2, poll_every_s: 0.2, "
        "sampling: {max_new_tokens: 96}, limits: {max_steps: 4, max_invalid: 1}}"
    )
    with ScriptedTeacher() as scripted:
        overrides = ["train={}", f"student={student}", "evaluate.n_questions=2"]
        recipe = small_recipe(tmp_path_factory.mktemp("runs"), scripted, *overrides)
        generate_here(recipe)
        convert(recipe)
        train_student(recipe)
    return recipe


def test_the_provider_learns_our_rows_and_its_loss_falls(trained, provider):
    home = Folder(trained.run_dir) / "hosted"
    assert home.read_json("model.json")["model"] == TUNED
    losses = [json.loads(line)["loss"] for line in home.lines("events.jsonl")]
    assert len(losses) > 10
    assert sum(losses[-3:]) < 0.8 * sum(losses[:3])


def test_its_model_is_evaluated_on_turns_exactly_as_they_were_trained(trained, provider):
    reports = evaluate(trained)
    assert [(report.name, report.n_planned) for report in reports] == [("base", 2), ("finetuned", 2)]
    rows = read_trajectories(Folder(trained.run_dir) / "evaluations" / "finetuned" / "trajectories")
    assert {(row.model, row.method) for row in rows} == {(TUNED, "react")}
    asked = [chat for chat in provider.chats if chat["model"] == TUNED]
    assert {(chat["temperature"], chat["max_tokens"]) for chat in asked} == {(0.0, 96)}
    trained_turns = {
        row.question.text: [{"role": turn.role, "content": turn.content} for turn in conversation(row)] for row in rows
    }
    for chat in asked:
        messages = chat["messages"]
        whole = trained_turns[messages[0]["content"]]
        assert messages == whole[: len(messages)]
    assert all(chat["messages"][0]["role"] == "system" for chat in provider.chats if chat["model"] == "small")


def test_evaluating_again_asks_the_provider_nothing(trained, provider):
    before = len(provider.chats)
    evaluate(trained)
    assert len(provider.chats) == before


def test_its_agent_is_served_without_an_engine(trained, provider):
    before = len(provider.chats)
    with serving(trained) as url:
        asked = {"model": "fireact/demo", "messages": [{"role": "user", "content": "When was Welrel Brambram born?"}]}
        answered = httpx.post(f"{url}/v1/chat/completions", json=asked, timeout=60)
    assert answered.status_code == 200
    assert answered.json()["choices"][0]["message"]["role"] == "assistant"
    assert [chat["model"] for chat in provider.chats[before:]][:1] == [TUNED]
