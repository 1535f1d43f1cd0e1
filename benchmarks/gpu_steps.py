"""Our training step on a made-up model: seconds, FLOPs, and where a GPU's time goes."""

from __future__ import annotations

import statistics
import time
import warnings
from collections import Counter
from dataclasses import replace
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu_bench import GIB, Bench
from benchmarks.gpu_settings import Group, Setting
from benchmarks.gpu_shapes import PEAK_FLOPS, build, build_quantized, make_rows, step_flops
from fireact_ray.training.ahead import Ahead
from fireact_ray.training.attention import use_attention
from fireact_ray.training.batching import Batch, Step, collate, plan_steps
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.data import Row, Sizes
from fireact_ray.training.forecast.activations import Load
from fireact_ray.training.forecast.memory import Layout, plan_memory
from fireact_ray.training.kernel_check import compare_kernels, few_rows
from fireact_ray.training.kernels import demand_kernels, set_kernels
from fireact_ray.training.layers import set_layers
from fireact_ray.training.model import prepare
from fireact_ray.training.sharding.base import Here
from fireact_ray.training.sharding.ddp import Ddp
from fireact_ray.training.stepping import Stepper

_KINDS = {  # of kernels, by a piece of their names; the first that fits
    "attention": ("flash", "fmha", "attention", "cudnn_generated"),
    "matrix products": ("gemm", "nvjet", "xmma", "cutlass", "cublas"),
    "optimizer and clipping": ("multi_tensor", "fused_adam"),
    "memory": ("memcpy", "memset"),
}


class Steps:
    """The steps of one group's settings: one model, and a new optimizer for each setting."""

    def __init__(self, bench: Bench, group: Group) -> None:
        """Makes the model as the loop does: what is trained in fp32, a frozen base in bf16 where that is computed."""
        self._bench = bench
        self._group = group
        self._bf16 = bench.precision.bf16
        config = self._config(replace(group.settings[0], kernels="torch"))
        dtype = torch.bfloat16 if self._bf16 and config.adapts else torch.float32
        base = (build_quantized if group.tuning == "qlora" else build)(group.shape, bench.device, dtype)
        self._prepared = prepare(base, config)
        self._base = base
        self._adapters = self._prepared.trainable_parameters if config.adapts else None

    def measure(self, setting: Setting, timed: int) -> dict[str, Any]:
        """Medians over `timed` steps, each waited for, after one for warmth. Fused kernels first against torch's."""
        stepper, steps, rows = self._ready(setting, 1 + timed)
        differ = None if setting.kernels == "torch" else self._differ(setting, rows)
        losses, seconds = [], []
        planned = 0.0
        coming = Ahead(map(stepper.ready, steps))
        for ready in coming:
            step = ready.step
            planned = max(planned, *(self._planned_gib(setting, batch) for batch in ready.batches))
            self._bench.wait()
            started = time.perf_counter()
            sums, _ = stepper.take(ready, 1e-4, self._bf16)
            self._bench.wait()
            seconds.append(time.perf_counter() - started)
            losses.append(float(sums.sum()) / step.trained_tokens)
        steps, seconds = steps[1:], seconds[1:]
        flops = [step_flops(self._group.shape, _lengths(s, rows), s.trained_tokens, self._adapters) for s in steps]
        pairs = list(zip(steps, flops, seconds, strict=True))
        return {
            "passes_per_step": len(steps[0].share.micro_batches),
            "tokens_per_step": statistics.median(step.tokens for step in steps),
            "step_s": statistics.median(seconds),
            "all_step_s": seconds,
            "tokens_per_s": statistics.median(step.tokens / s for step, _, s in pairs),
            "mfu_percent": statistics.median(100 * f.needed / s / PEAK_FLOPS for _, f, s in pairs),
            "six_n_percent": statistics.median(100 * f.six_n / s / PEAK_FLOPS for _, f, s in pairs),
            "padding_percent": statistics.median(100 * (1 - step.tokens / step.computed_tokens) for step in steps),
            "planned_gib": planned,
            "kernels": setting.kernels,
            "kernels_differ": differ,
            "attention": self._base.config._attn_implementation,
            "recomputed": setting.checkpointing,
            "input_wait_s": coming.waited,
            "losses": losses,
        }

    def profiled(self, setting: Setting) -> dict[str, Any]:
        """One step after one: shares of kernel time, the longest kernels, and where the host waits for the GPU."""
        stepper, steps, _ = self._ready(setting, 3)
        stepper.take(stepper.ready(steps[0]), 1e-4, self._bf16)
        waits = self._waits(stepper, steps[1])
        with profile(activities=[ProfilerActivity.CUDA]) as trace:
            stepper.take(stepper.ready(steps[2]), 1e-4, self._bf16)
            self._bench.wait()
        kernels = sorted(((e.self_device_time_total, e.count, e.key) for e in trace.key_averages()), reverse=True)
        total = sum(microseconds for microseconds, _, _ in kernels)
        shares: Counter[str] = Counter()
        for microseconds, _, name in kernels:
            shares[_kind(name)] += 100 * microseconds / total
        return {
            "kernel_s": total / 1e6,
            "share_percent": dict(shares),
            "longest": [[100 * us / total, n, name[:110]] for us, n, name in kernels[:14]],
            "waits_per_step": waits,
        }

    def _differ(self, setting: Setting, rows: tuple[Row, ...]) -> dict[str, Any]:
        config, here = self._config(setting), Here(0, 1, self._bench.device)
        prepared = replace(self._prepared, varlen=not setting.masked)
        few = collate([[row] for row in few_rows(rows, setting.micro_batch_tokens)], varlen=prepared.varlen)
        found = compare_kernels(Ddp(prepared, config, here), few.to(here.device), config, here, bf16=self._bf16)
        return {"loss": found.loss, "gradients": found.gradients, "allowed": found.is_allowed}

    def _planned_gib(self, setting: Setting, batch: Batch) -> float:
        """By `fireact plan`, tensors alone: what the peak counts."""
        lines, length = batch.input_ids.shape
        load = Load(lines, length, len(batch.targets) / (lines * length), packed=setting.pack_tokens is not None)
        layout = Layout(on_gpu=self._bench.device.type == "cuda", bf16=self._bf16)
        return plan_memory(self._group.shape.planned, self._config(setting), layout, load).tensors / GIB

    def _ready(self, setting: Setting, n_steps: int) -> tuple[Stepper, list[Step], tuple[Row, ...]]:
        self._prepared.model.zero_grad()
        config = self._config(setting)
        demand_kernels(config, self._bench.device)
        set_kernels(self._base, config.kernels)
        self._base.set_attn_implementation("sdpa")
        prepared = replace(self._prepared, varlen=use_attention(self._base, config.attention))
        set_layers(self._base, config.activation_checkpointing, config.compile)
        rows = make_rows(n_steps * setting.rows_per_step, self._group.shape.vocabulary, setting.length)
        steps = list(plan_steps(Sizes.of(rows), config, varlen=prepared.varlen))
        here = Here(0, 1, self._bench.device)
        return Stepper(Ddp(prepared, config, here), rows, config, here), steps, rows

    def _config(self, setting: Setting) -> TrainConfig:
        return TrainConfig.from_dict(
            {
                "base_model": "made-up",
                "tuning": self._group.tuning,
                "lora": {"dropout": self._group.dropout, "target_modules": self._group.targets},
                "epochs": 1,
                "global_batch_size": setting.rows_per_step,
                "micro_batch_tokens": setting.micro_batch_tokens,
                "pack_tokens": setting.pack_tokens,
                "attention": "sdpa" if setting.masked else "varlen",
                "activation_checkpointing": setting.checkpointing or None,
                "compile": setting.compiled,
                "kernels": setting.kernels,
            }
        )

    def _waits(self, stepper: Stepper, step: Step) -> dict[str, int]:
        """Lines of Python, and how often each made the host wait in this step."""
        ready = stepper.ready(step)  # in the loop, another thread's work
        torch.cuda.set_sync_debug_mode("warn")
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                stepper.take(ready, 1e-4, self._bf16)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        found = [f"{'/'.join(w.filename.split('/')[-3:])}:{w.lineno}" for w in caught if "synchroniz" in str(w.message)]
        return dict(Counter(found))


def product_flops(bench: Bench, size: int = 8192) -> float:
    """A second, of a product of two random matrices in bf16: what this very card reaches."""
    a, b = (torch.randn(size, size, device=bench.device, dtype=torch.bfloat16) for _ in range(2))
    seconds = []
    for _ in range(20):
        bench.wait()
        started = time.perf_counter()
        for _ in range(10):
            a @ b
        bench.wait()
        seconds.append((time.perf_counter() - started) / 10)
    return 2 * size**3 / statistics.median(seconds[5:])


def _lengths(step: Step, rows: tuple[Row, ...]) -> list[int]:
    return [len(rows[i].input_ids) for batch in step.share.micro_batches for pack in batch for i in pack]


def _kind(kernel: str) -> str:
    name = kernel.lower()
    return next((kind for kind, pieces in _KINDS.items() if any(piece in name for piece in pieces)), "everything else")
