"""What answers in a server's engine deployment: our torch engine, or vLLM. Settings only; vllm_student.py opens it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from fireact_ray.core.settings import Place, Section

EngineKind = Literal["torch", "vllm"]


class VllmConfig(Section):
    """Of one engine replica with vLLM. Its context is `student.max_context`, its sampling the student's.

    `python`: the interpreter of the environment that has vLLM, at the same place on every node; null: the one that
    serves. `tensor_parallel_size`: GPUs of a replica, all on one node. `dtype` auto: `student.precision`, and where
    that is auto, too, bf16 if the hardware has it, otherwise fp32. `gpu_memory_utilization`: share of a GPU's memory
    that a replica may take. `kv_cache_gib`: of keys and values; null: what is left of that share, on a CPU 1 GiB.
    `max_num_seqs`: replies at once. `enforce_eager`: no CUDA graphs, for a quicker start; a CPU has none.
    """

    python: Place | None = None
    tensor_parallel_size: PositiveInt = 1
    dtype: Literal["auto", "fp32", "fp16", "bf16"] = "auto"
    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)] = 0.9
    kv_cache_gib: PositiveFloat | None = None
    max_num_seqs: PositiveInt = 64
    enforce_eager: bool = False
