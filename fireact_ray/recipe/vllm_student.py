"""Students as one vLLM engine: a base model, and adapters of it, each attached to its requests."""

from __future__ import annotations

import importlib.util
import logging
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fireact_ray.agent.models.engines.vllm_engine import Answering, VllmCore
from fireact_ray.core.errors import InputError
from fireact_ray.core.json_text import parse
from fireact_ray.core.storage.fetched import fetched
from fireact_ray.recipe.engines import VllmConfig
from fireact_ray.recipe.student import (
    StudentAgents,
    base_of,
    is_adapter,
    local_student,
    open_renderer,
    student_name,
)
from fireact_ray.recipe.students import StudentConfig
from fireact_ray.rendering.tokenizer import HubTokenizer

_GIB = 1 << 30
_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # that vLLM makes room for
_DTYPES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}
_CPU_BLOCK = 32  # tokens; vLLM's 128 would have up to 127 tokens of a known prompt read again in every step
_CPU_CACHE_GIB = 1.0
_FACTS = (
    "import json, platform; from importlib.util import find_spec; from importlib.metadata import version; "
    "print(json.dumps({name: find_spec(name) is not None for name in ('vllm', 'ray', 'fireact_ray')} | "
    "{'python': platform.python_version_tuple()[:2], 'ray_version': version('ray') if find_spec('ray') else ''}))"
)

logger = logging.getLogger(__name__)


def demand_vllm(config: VllmConfig) -> None:
    """Raises InputError where the interpreter that engine replicas would have lacks vLLM, or does not fit to Ray."""
    if config.python is None:
        if importlib.util.find_spec("vllm") is None:
            raise InputError(
                f"serve.engine of kind vllm: {sys.executable} has no vLLM. Make an environment that has it (make "
                "test-vllm shows how), and name its interpreter: serve.engine.vllm.python."
            )
        return
    found = _facts_of(config.python)
    missing = [name for name in ("vllm", "ray", "fireact_ray") if not found[name]]
    if missing:
        raise InputError(f"serve.engine.vllm.python: {config.python} has no {', '.join(missing)}. Install it there.")
    ours = [list(platform.python_version_tuple()[:2]), version("ray")]
    theirs = [found["python"], found["ray_version"]]
    if ours != theirs:
        raise InputError(
            f"serve.engine.vllm.python: {config.python} is Python {'.'.join(theirs[0])} with Ray {theirs[1]}, this is "
            f"Python {'.'.join(ours[0])} with Ray {ours[1]}. Both must be the same."
        )


def _facts_of(python: str) -> dict[str, Any]:
    try:
        said = subprocess.run([python, "-c", _FACTS], capture_output=True, text=True, check=True, timeout=60)
        facts: dict[str, Any] = parse(said.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise InputError(f"serve.engine.vllm.python: {python} cannot be run: {error}") from None
    return facts


def open_vllm(models: Sequence[StudentAgents], config: VllmConfig) -> VllmCore:
    """One engine for models of one base, by their `model_key`. Raises InputError for a renderer that a model was not
    trained with, and for adapters that vLLM does not take."""
    first = models[0]
    base = base_of(first.model_dir)
    answering = {one.model_key: _answering(one) for one in models}
    adapters = [Path(model.adapter) for model in answering.values() if model.adapter is not None]
    student = local_student(first.recipe)
    dtype = _dtype(config, student, on_gpu=first.on_gpu)
    logger.info("%s by vLLM: %s, adapters: %d", base.name, dtype, len(adapters))
    return VllmCore(vllm_settings(config, base, adapters, student.max_context, dtype, on_gpu=first.on_gpu), answering)


def vllm_settings(
    config: VllmConfig, base: Path, adapters: Sequence[Path], max_context: int, dtype: str, *, on_gpu: bool
) -> dict[str, Any]:
    """Arguments of vLLM's engine. Raises InputError for an adapter of a larger rank than it takes."""
    settings: dict[str, Any] = {
        "model": str(base),
        "skip_tokenizer_init": True,
        "dtype": dtype,
        "max_model_len": max_context,
        "max_num_seqs": config.max_num_seqs,
        "tensor_parallel_size": config.tensor_parallel_size,
        "gpu_memory_utilization": config.gpu_memory_utilization,
        "enforce_eager": config.enforce_eager or not on_gpu,
        "enable_prefix_caching": True,
        "enable_log_requests": False,
        "disable_log_stats": True,
    }
    cache_gib = config.kv_cache_gib or (None if on_gpu else _CPU_CACHE_GIB)
    if cache_gib is not None:
        settings["kv_cache_memory_bytes"] = int(cache_gib * _GIB)
    if not on_gpu:
        settings["block_size"] = _CPU_BLOCK
    if config.tensor_parallel_size > 1:
        settings["distributed_executor_backend"] = "mp"  # not Ray's: the replica has its GPUs already
    if adapters:
        # On a CPU vLLM adds what its last place for an adapter holds to the base's own rows (vLLM issue 48421).
        n_places = len(adapters) + (0 if on_gpu else 1)
        settings |= {"enable_lora": True, "max_loras": n_places, "max_lora_rank": _room(adapters)}
    return settings


def _room(adapters: Sequence[Path]) -> int:
    ranks = {adapter: int(_adapter_config(adapter)["r"]) for adapter in adapters}
    largest = max(ranks, key=lambda adapter: ranks[adapter])
    rank = next((room for room in _RANKS if room >= ranks[largest]), None)
    if rank is None:
        raise InputError(
            f"{largest}: an adapter of rank {ranks[largest]}; vLLM takes up to {_RANKS[-1]}. Merge it (fireact merge) "
            "and serve the merged model, or serve it by kind torch."
        )
    return rank


def _adapter_config(adapter: Path) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = parse((adapter / "adapter_config.json").read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(
            f"{adapter}/adapter_config.json cannot be read ({error}). Restore it, or train again."
        ) from None
    return found


def _answering(agents: StudentAgents) -> Answering:
    student, folder = local_student(agents.recipe), agents.model_dir
    renderer = open_renderer(folder, student)
    return Answering(
        name=f"{student_name(folder)} {folder}",
        adapter=str(Path(fetched(folder)).resolve()) if is_adapter(folder) else None,
        end_id=renderer.end_id,
        decode=HubTokenizer.load(folder).decode,
    )


def _dtype(config: VllmConfig, student: StudentConfig, *, on_gpu: bool) -> str:
    asked = student.precision if config.dtype == "auto" else config.dtype
    if asked != "auto":
        return _DTYPES[asked]
    from fireact_ray.training.precision import computes_bf16  # torch takes seconds to import

    return _DTYPES["bf16" if computes_bf16(on_gpu=on_gpu) else "fp32"]
