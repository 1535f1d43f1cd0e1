"""Greedy replies of the engine that serves against those of transformers' own loop, for each way to train."""

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path

import peft
import pytest
import torch
from object_store import object_store
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from fireact_ray.agent.models.base import Sampling
from fireact_ray.cli.merge import merge as command
from fireact_ray.core.errors import DataError, InputError, TrainingError
from fireact_ray.core.paths import NANO, NANO_DIR
from fireact_ray.core.storage import buckets
from fireact_ray.core.storage.folder import Folder
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.recipe.student import StudentAgents, open_attached, open_student
from fireact_ray.recipe.students import StudentConfig
from fireact_ray.rendering import make_renderer
from fireact_ray.rendering.tokenizer import HubTokenizer
from fireact_ray.training import merge
from fireact_ray.training.adapters import merged
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.loop import train
from fireact_ray.training.mapped.loading import load_dataset
from fireact_ray.training.merge import merge_adapter
from fireact_ray.training.merge_check import check_merge, first_prompts, replies_of

pytestmark = pytest.mark.torch

N_PROMPTS, N_TOKENS = 4, 8
Train = Callable[[str], Path]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, write_dataset, counting_rows) -> Path:
    """A run folder with a dataset that the nano can be served with, and a model of each tuning."""
    folder = tmp_path_factory.mktemp("run")
    dataset = write_dataset(folder / "dataset", counting_rows(24))
    renderer = make_renderer("plain", HubTokenizer.load(str(NANO_DIR)))
    manifest = {"renderer": "plain", "renderer_fingerprint": renderer.fingerprint}
    (dataset / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="module")
def trained(run: Path) -> Train:
    """The model folder of a tuning, trained when it is first asked for."""

    def model_of(tuning: str) -> Path:
        if not (run / tuning).is_dir():
            settings = {
                "precision": "fp32",
                "epochs": 4,
                "learning_rate": 1e-2,
                "global_batch_size": 8,
                "lora_dropout": 0.0,
            }
            train(
                TrainConfig.from_dict({"base_model": NANO, "tuning": tuning, **settings}), run / "dataset", run / tuning
            )
        return run / tuning

    return model_of


@pytest.fixture(scope="module")
def prompts(run: Path) -> list[list[int]]:
    return first_prompts(load_dataset(run / "dataset"), N_PROMPTS)


def served(model_dir: Path, prompts: list[list[int]]) -> list[tuple[int, ...]]:
    """By the engine, all at once."""

    async def ask() -> list[tuple[int, ...]]:
        chat = open_student(
            str(model_dir), StudentConfig(base_model=NANO, renderer="plain", precision="fp32"), on_gpu=False
        )
        sampling = Sampling(max_new_tokens=N_TOKENS)
        found = await asyncio.gather(*(chat.engine.generate(prompt, sampling) for prompt in prompts))
        await chat.close()
        return [each.ids for each in found]

    return asyncio.run(ask())


def generated(model, prompts: list[list[int]]) -> list[tuple[int, ...]]:
    """By transformers, one by one, without the end token."""
    return [tuple(i for i in reply.ids if i != 1) for reply in replies_of(model, prompts, N_TOKENS)]


def plainly_loaded(folder: Path):
    """As anybody would who knows transformers and PEFT and not this package."""
    if not (folder / "adapter_config.json").is_file():
        return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    base = AutoModelForCausalLM.from_pretrained(NANO_DIR, dtype=torch.float32)
    return peft.PeftModel.from_pretrained(base, folder).eval()


@pytest.mark.parametrize("tuning", ["lora", "qlora", "full"])
def test_the_served_engine_replies_what_the_trained_model_generates(trained: Train, prompts, tuning: str):
    folder = trained(tuning)
    expected = generated(plainly_loaded(folder), prompts)
    assert served(folder, prompts) == expected
    assert expected != generated(AutoModelForCausalLM.from_pretrained(NANO_DIR, dtype=torch.float32), prompts)


def test_base_and_adapters_that_share_its_weights_reply_what_each_generates(trained: Train, prompts):
    recipe = load_recipe("demo", ["student.precision=fp32"])
    models = [StudentAgents(recipe, str(folder), False) for folder in (NANO_DIR, trained("lora"), trained("qlora"))]

    async def ask() -> list[list[tuple[int, ...]]]:
        engines = open_attached(models)
        sampling = Sampling(max_new_tokens=N_TOKENS)
        asked = [engines[one.model_key].generate(prompt, sampling) for one in models for prompt in prompts]
        found = [reply.ids for reply in await asyncio.gather(*asked)]
        await engines[models[0].model_key].close()
        return [found[n : n + N_PROMPTS] for n in range(0, len(found), N_PROMPTS)]

    expected = [generated(plainly_loaded(Path(one.model_dir)), prompts) for one in models]
    assert asyncio.run(ask()) == expected
    assert expected[0] != expected[1]


@pytest.mark.parametrize("tuning", ["lora", "qlora"])
def test_a_merged_folder_is_whole_weights_that_say_the_same(
    trained: Train, run: Path, prompts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tuning: str
):
    monkeypatch.setattr(merge, "SHARD_SIZE", "1MB")
    folder, out = trained(tuning), tmp_path / "merged"
    assert merge_adapter(folder, out) == out
    names = {path.name for path in out.iterdir()}
    assert {"config.json", "generation_config.json", "model.safetensors.index.json", "README.md"} <= names
    assert {"tokenizer.json", "tokenizer_config.json", "fireact.json"} <= names
    assert not {name for name in names if name.startswith("adapter") or name.endswith(".bin")}
    assert "model-00001-of-00004.safetensors" in names
    checked = check_merge(folder, out, Folder(str(run / "dataset")), n_prompts=N_PROMPTS, max_new_tokens=N_TOKENS)
    assert (checked.n_prompts, checked.passed) == (N_PROMPTS, True)
    model, tokenizer = plainly_loaded(out), AutoTokenizer.from_pretrained(out)
    assert generated(model, prompts) == served(out, prompts)
    assert tokenizer("Who?").input_ids == AutoTokenizer.from_pretrained(NANO_DIR)("Who?").input_ids
    assert model.generation_config.eos_token_id == 1
    assert "quantization_config" not in json.loads((out / "config.json").read_text())
    card = json.loads((out / "fireact.json").read_text())
    assert (card["tuning"], card["merged_from"], card["renderer"]) == ("merged", tuning, "plain")


def test_merged_weights_are_base_plus_update_rounded_once_to_what_the_base_is_stored_in(trained: Train, tmp_path: Path):
    folder = trained("qlora")
    merge_adapter(folder, tmp_path / "stored")
    merge_adapter(folder, tmp_path / "wide", dtype="fp32")
    base, adapter = load_file(NANO_DIR / "model.safetensors"), load_file(folder / "adapter_model.safetensors")
    name = "model.layers.2.mlp.down_proj"
    down, up = (adapter[f"base_model.model.{name}.lora_{x}.weight"] for x in "AB")
    whole = base[f"{name}.weight"].float() + up @ down * 2  # alpha 16 by rank 8
    stored, wide = (load_file(tmp_path / kind / "model.safetensors")[f"{name}.weight"] for kind in ("stored", "wide"))
    assert (stored.dtype, wide.dtype) == (torch.float16, torch.float32)
    assert torch.equal(stored, whole.half())
    torch.testing.assert_close(wide, whole, atol=1e-6, rtol=0)
    untouched = "model.layers.2.input_layernorm.weight"
    assert torch.equal(load_file(tmp_path / "stored" / "model.safetensors")[untouched], base[untouched])


def test_the_command_merges_compares_and_refuses_a_wrong_merge(
    trained: Train, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    caplog.set_level("INFO", "fireact_ray")
    command(str(trained("lora")), str(tmp_path / "right"), n_checked=2)
    assert caplog.messages[-1].startswith("check: 2 of 2 greedy replies are equal, ")
    monkeypatch.setattr(merge, "merged", lambda model: model.unload())  # the adapter is left out
    with pytest.raises(DataError, match=r"(?s)more than rounding.*wrong is not what the adapter says on its base"):
        command(str(trained("lora")), str(tmp_path / "wrong"), n_checked=2)


def test_a_run_in_a_bucket_is_merged_and_compared_on_its_own_prompts(
    trained: Train, run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    caplog.set_level("INFO", "fireact_ray")
    with object_store() as store:
        store.bucket("data")
        given = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_ENDPOINT_URL": store.endpoint}
        for name, value in {**given, "FIREACT_CACHE": str(tmp_path / "cache")}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(buckets, "_opened", {})
        there = Folder("s3://data/runs/r")
        for name, folder in (("dataset", run / "dataset"), ("model", trained("lora"))):
            for file in folder.iterdir():
                (there / name).write_file(file.name, file)
        for n, place in enumerate(("s3://data/runs/r", "s3://data/runs/r/model")):
            command(place, str(tmp_path / f"merged-{n}"), n_checked=1)
            assert caplog.messages[-1].startswith("check: 1 of 1 greedy replies are equal, ")


def test_a_wrong_merge_is_told_by_token_and_logits(trained: Train, run: Path, tmp_path: Path):
    folder = trained("lora")
    merge_adapter(folder, tmp_path / "merged")
    weights = load_file(tmp_path / "merged" / "model.safetensors")
    base = load_file(NANO_DIR / "model.safetensors")
    for name in weights:  # an adapter that was left out of one half of the layers
        if re.search(r"\.layers\.[012]\.", name):
            weights[name] = base[name]
    save_file(weights, tmp_path / "merged" / "model.safetensors", metadata={"format": "pt"})
    checked = check_merge(
        folder, tmp_path / "merged", Folder(str(run / "dataset")), n_prompts=4, max_new_tokens=N_TOKENS
    )
    assert not checked.passed
    assert "the replies part at token " in str(checked)
    assert "more than rounding (up to " in str(checked)


def test_what_has_no_adapter_is_not_merged(trained: Train, tmp_path: Path):
    with pytest.raises(InputError, match=r"holds whole weights \(tuning full\), so there is nothing to merge"):
        merge_adapter(trained("full"), tmp_path / "out")
    with pytest.raises(InputError, match=r"neither a trained model nor a run with one \(no fireact\.json\)"):
        merge_adapter(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_adapter_of_head_and_embedding_in_one_is_not_merged():
    """None is trained here; PEFT itself would change both."""
    model = AutoModelForCausalLM.from_pretrained(NANO_DIR)
    adapted = peft.get_peft_model(model, peft.LoraConfig(target_modules=["lm_head"]))
    with pytest.raises(TrainingError, match="lm_head: embedding and head share their weights in this model"):
        merged(adapted)


def test_a_merge_neither_overwrites_nor_guesses(trained: Train, tmp_path: Path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"full is not empty\. Name a new folder"):
        merge_adapter(trained("lora"), tmp_path / "full")
    with pytest.raises(InputError, match="--dtype int8 is not known; known: fp32, fp16, bf16"):
        merge_adapter(trained("lora"), tmp_path / "out", dtype="int8")
    with pytest.raises(InputError, match="no dataset there to take prompts from"):
        check_merge(trained("lora"), tmp_path / "out", Folder(str(tmp_path / "none")))
