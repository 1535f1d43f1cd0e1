"""vLLM's settings and environment, without vLLM."""

import importlib.util
import json
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from fireact_ray.core.errors import DataError, InputError, RecipeError
from fireact_ray.core.paths import NANO_DIR
from fireact_ray.recipe.engines import VllmConfig
from fireact_ray.recipe.loader import load_recipe, parse_recipe, to_yaml
from fireact_ray.recipe.serving import EngineConfig
from fireact_ray.recipe.student import StudentAgents, base_of
from fireact_ray.recipe.vllm_student import demand_vllm, vllm_settings
from fireact_ray.training.base import base_fingerprint


def engine(text: str, **serve: object) -> EngineConfig:
    return parse_recipe(
        "r", yaml.safe_dump({"name": "r", "serve": {"engine": yaml.safe_load(text), **serve}})
    ).serve.engine


def test_the_kind_alone_names_an_engine():
    assert engine("vllm") == EngineConfig(kind="vllm")
    assert engine("{min_replicas: 2}") == EngineConfig(kind="torch", min_replicas=2)


def test_an_engine_is_stored_as_ever_where_it_is_the_torch_engine():
    stored = yaml.safe_load(to_yaml(load_recipe("demo", ["serve.engine={max_replicas: 4}"])))["serve"]["engine"]
    assert set(stored) == {"min_replicas", "max_replicas", "target_ongoing_requests", "max_replicas_per_node"}
    recipe = load_recipe("demo", ["serve.engine={kind: vllm, vllm: {dtype: bf16}}"])
    assert parse_recipe("r", to_yaml(recipe)).serve.engine.vllm == VllmConfig(dtype="bf16")


@pytest.mark.parametrize(
    ("text", "serve", "problem"),
    [
        ("vlm", {}, "vlm|torch"),
        ("{vllm: {dtype: bf16}}", {}, "settings of an engine of kind vllm"),
        ("{kind: vllm, vllm: {gpu_memory_utilization: 1.2}}", {}, "less than or equal to 1"),
        ("{kind: vllm, vllm: {max_model_len: 4096}}", {}, "max_model_len"),
        ("{kind: vllm, vllm: {tensor_parallel_size: 2}}", {}, "counts GPUs: set use_gpu: true"),
    ],
)
def test_settings_that_do_not_fit_are_refused(text, serve, problem):
    with pytest.raises(RecipeError, match=problem):
        engine(text, **serve)
    engine("{kind: vllm, vllm: {tensor_parallel_size: 2}}", use_gpu=True)


def settings(config: VllmConfig | None = None, adapters=(), on_gpu: bool = False) -> dict:
    return vllm_settings(config or VllmConfig(), NANO_DIR, adapters, 2048, "float32", on_gpu=on_gpu)


def test_a_cpu_gets_small_blocks_and_a_cache_of_its_own_and_a_gpu_what_is_left():
    on_cpu = settings()
    assert (on_cpu["block_size"], on_cpu["kv_cache_memory_bytes"], on_cpu["enforce_eager"]) == (32, 1 << 30, True)
    on_gpu = settings(on_gpu=True)
    assert not {"block_size", "kv_cache_memory_bytes", "enable_lora", "distributed_executor_backend"} & set(on_gpu)
    assert (on_gpu["enforce_eager"], on_gpu["gpu_memory_utilization"], on_gpu["max_model_len"]) == (False, 0.9, 2048)
    two = settings(VllmConfig(tensor_parallel_size=2, kv_cache_gib=0.5), on_gpu=True)
    assert (two["tensor_parallel_size"], two["distributed_executor_backend"]) == (2, "mp")
    assert two["kv_cache_memory_bytes"] == 1 << 29


def adapter(folder: Path, rank: int) -> Path:
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({"r": rank}))
    return folder


def test_there_is_room_for_the_largest_adapter(tmp_path: Path):
    found = settings(adapters=[adapter(tmp_path / str(rank), rank) for rank in (4, 9, 8)])
    assert (found["enable_lora"], found["max_loras"], found["max_lora_rank"]) == (True, 4, 16)  # one place stays empty
    assert settings(adapters=[tmp_path / "4", tmp_path / "8"], on_gpu=True)["max_loras"] == 2
    with pytest.raises(InputError, match=r"1024: an adapter of rank 1024; vLLM takes up to 512\. Merge it"):
        settings(adapters=[adapter(tmp_path / "1024", 1024)])
    with pytest.raises(InputError, match=r"adapter_config\.json cannot be read"):
        settings(adapters=[tmp_path / "none"])


def trained(folder: Path, tuning: str, fingerprint: str) -> str:
    folder.mkdir()
    card = {"tuning": tuning, "base_model": "nano", "base_fingerprint": fingerprint}
    (folder / "fireact.json").write_text(json.dumps(card))
    return str(folder)


def test_adapters_of_one_base_share_its_weights_and_others_have_their_own(tmp_path: Path):
    own = base_fingerprint(NANO_DIR)
    assert base_of(str(NANO_DIR)) == NANO_DIR
    assert base_of(trained(tmp_path / "a", "lora", own)) == base_of(trained(tmp_path / "b", "qlora", own)) == NANO_DIR
    with pytest.raises(DataError, match="was trained on another base than"):
        base_of(trained(tmp_path / "c", "lora", "another"))
    with pytest.raises(InputError, match="no complete base model"):
        base_of(trained(tmp_path / "full", "full", own))


def test_two_renderers_of_one_folder_are_two_models():
    recipe = load_recipe("demo")
    other = recipe.model_copy(update={"student": recipe.student.model_copy(update={"renderer": "llama2"})})
    one = StudentAgents(recipe, str(NANO_DIR), few_shot=True)
    assert one.model_key == replace(one, few_shot=False).model_key
    assert one.model_key != StudentAgents(other, str(NANO_DIR), few_shot=True).model_key


def interpreter(folder: Path, says: str, code: int = 0) -> VllmConfig:
    file = folder / "python"
    file.write_text(f"#!/bin/sh\ncat <<'X'\n{says}\nX\nexit {code}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return VllmConfig(python=str(file))


def test_an_interpreter_is_asked_for_what_an_engine_replica_needs(tmp_path: Path):
    here = {"vllm": True, "ray": True, "fireact_ray": True, "python": [str(n) for n in sys.version_info[:2]]}
    from importlib.metadata import version

    demand_vllm(interpreter(tmp_path, json.dumps({**here, "ray_version": version("ray")})))
    with pytest.raises(InputError, match=r"python is Python 3\.8 with Ray 2\.1, this is Python 3\.\d+ with Ray 2\.\d+"):
        demand_vllm(interpreter(tmp_path, json.dumps({**here, "python": ["3", "8"], "ray_version": "2.1"})))
    with pytest.raises(InputError, match=r"has no vllm, fireact_ray\. Install it there"):
        demand_vllm(interpreter(tmp_path, json.dumps({**here, "vllm": False, "fireact_ray": False})))
    with pytest.raises(InputError, match="cannot be run"):
        demand_vllm(interpreter(tmp_path, "Traceback", code=1))
    with pytest.raises(InputError, match="cannot be run"):
        demand_vllm(VllmConfig(python=str(tmp_path / "none")))


def test_an_environment_without_vllm_is_told_how_to_come_by_one():
    if importlib.util.find_spec("vllm") is not None:
        pytest.skip("this environment has vLLM")
    with pytest.raises(InputError, match=r"has no vLLM\. Make an environment that has it.*serve\.engine\.vllm\.python"):
        demand_vllm(VllmConfig())
    with pytest.raises(InputError, match=r"python\S* has no vllm\. Install it there"):
        demand_vllm(VllmConfig(python=sys.executable))
