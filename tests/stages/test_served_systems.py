"""Which engine answers for which of the served agents, without starting any."""

import json
import shutil
from pathlib import Path

import pytest
from fakes import DictBackend, question
from provider import Provider

from fireact_ray.core.errors import DataError, InputError
from fireact_ray.core.paths import NANO, NANO_DIR
from fireact_ray.recipe import vllm_student
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.student import StudentAgents
from fireact_ray.recipe.teacher import TeacherAgents
from fireact_ray.rendering import make_renderer
from fireact_ray.rendering.tokenizer import HubTokenizer
from fireact_ray.stages.application import application, engine_takes, models_of_each_engine, served_systems
from fireact_ray.training.base import base_fingerprint

pytestmark = [pytest.mark.ray, pytest.mark.torch]  # which these import

RENDERED = make_renderer("plain", HubTokenizer.load(str(NANO_DIR))).fingerprint


@pytest.fixture
def adapters(tmp_path: Path) -> list[Path]:
    """Cards and tokenizers of two adapters of the nano: as much as is looked at before weights are loaded."""
    for name in "ab":
        (tmp_path / name).mkdir()
        for file in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(NANO_DIR / file, tmp_path / name / file)
        write_card(tmp_path / name)
    return [tmp_path / "a", tmp_path / "b"]


def write_card(folder: Path, **changes: str) -> None:
    card = {"base_model": NANO, "base_fingerprint": base_fingerprint(NANO_DIR), "tuning": "lora"}
    card |= {"renderer": "plain", "renderer_fingerprint": RENDERED}
    (folder / "fireact.json").write_text(json.dumps(card | changes))


def serving(adapters: list[Path], *overrides: str) -> Recipe:
    systems = ["base", *(f"{{kind: model, name: {one.name}, path: {one}}}" for one in adapters)]
    other = "{kind: model, name: other, path: nano, renderer: llama2}"
    return load_recipe("demo", [f"serve.systems=[{', '.join([*systems, other])}]", *overrides])


def test_each_model_has_a_torch_engine_and_each_base_one_of_vllm(adapters: list[Path]):
    by_torch = served_systems(serving(adapters))
    assert [one.engine for one in by_torch] == ["engine-1", "engine-2", "engine-3", "engine-4"]
    shared = served_systems(serving(adapters, "serve.engine={share_base: true}"))
    assert [one.engine for one in shared] == ["engine"] * 4
    by_vllm = served_systems(serving(adapters, "serve.engine=vllm"))
    assert [one.engine for one in by_vllm] == ["engine"] * 4
    (models,) = models_of_each_engine(by_vllm).values()
    assert [model.model_key for model in models] == [
        f"plain {NANO_DIR}",
        *(f"plain {one}" for one in adapters),
        f"llama2 {NANO_DIR}",  # the same weights, another end of a reply
    ]


def test_the_fine_tuned_agent_is_listed_first_as_the_page_begins_with_the_first(adapters: list[Path], tmp_path):
    shutil.copytree(adapters[0], tmp_path / "demo" / "model")
    recipe = load_recipe("demo", [f"output_dir={tmp_path}", "serve.systems=[base, finetuned]"])
    assert [one.model_id for one in served_systems(recipe)] == ["fireact/demo", "fireact/demo-base"]


def test_a_renderer_or_base_that_a_model_was_not_trained_with_is_refused_before_anything_starts(adapters: list[Path]):
    write_card(adapters[1], renderer_fingerprint="plain-0123456789ab")
    with pytest.raises(
        InputError, match=f"b was trained with renderer plain-0123456789ab, the recipe asks for {RENDERED}"
    ):
        application(serving(adapters))
    write_card(adapters[1], base_fingerprint="0123456789abcdef")
    with pytest.raises(DataError, match="b was trained on another base than"):
        application(serving(adapters, "serve.engine=vllm"))


def test_vllm_that_is_not_there_is_refused_before_anything_starts(adapters: list[Path], monkeypatch):
    monkeypatch.setattr(vllm_student.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="has no vLLM"):
        application(serving(adapters, "serve.engine=vllm"))


def test_a_replica_takes_the_gpus_that_its_weights_are_spread_over():
    recipe = load_recipe("demo", ["serve.engine={kind: vllm, vllm: {tensor_parallel_size: 4}}", "serve.use_gpu=true"])
    assert engine_takes(recipe.serve) == {"CPU": 0.5, "GPU": 4.0}
    assert engine_takes(load_recipe("demo").serve) == {"CPU": 0.5, "GPU": 0.0}


async def test_a_model_behind_a_url_is_an_agent_of_the_server_and_needs_no_engine():
    with Provider() as provider:
        provider.models["theirs"] = lambda messages: "Thought: I know it.\nAction: finish[1879]"
        model = f"{{kind: openai, name: theirs, base_url: '{provider.base_url}', api_key_env: null}}"
        systems = f"serve.systems=[{{kind: teacher, name: url, model: {model}}}]"
        (system,) = served_systems(load_recipe("demo", [systems]))
        assert isinstance(system.agents, TeacherAgents)
        assert (system.model_id, system.engine) == ("fireact/demo-url", None)
        (agent,) = system.agents(DictBackend({})).values()
        trajectory = await agent.run(question("When was Welrel Brambram born?"))
        await agent.close()
    assert (trajectory.answer, provider.chats[0]["model"]) == ("1879", "theirs")
    assert provider.chats[0]["stop"] == ["\nObservation:"]
    assert not isinstance(system.agents, StudentAgents)
