"""How a model's decoder layers are run: computed again in the backward pass, compiled, both or neither."""

from __future__ import annotations

import os
import tempfile
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

from fireact_ray.core.errors import TrainingError

_CACHE = "TORCHINDUCTOR_CACHE_DIR"


def decoder_layers(model: nn.Module) -> list[nn.Module]:
    """Those that transformers marks as such; none of a model where it marks none."""
    return [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]


def set_layers(model: nn.Module, recomputed: int | None, compiled: bool) -> None:
    """Run the decoder layers so from now on, whatever they did before. Parameters and their names stay.

    `recomputed` N: every N-th layer, from the first on, keeps nothing but what came in, and is computed again in the
    backward pass (Chen et al., 2016; arXiv:1604.06174); None: no layer. `compiled`: at its first call, for any number
    of tokens; layers of one shape share what is compiled. Raises TrainingError for a model without decoder layers.
    """
    layers = decoder_layers(model)
    if not layers and (recomputed or compiled):
        raise TrainingError(
            f"transformers marks no decoder layers in {type(model).__name__}. "
            "Leave train.activation_checkpointing and train.compile out."
        )
    if compiled:
        _keep_cache_apart()
    for i, layer in enumerate(layers):
        layer.__dict__.pop("forward", None)
        run = layer.forward
        # Compiled within: a compiler that meets a second run whole gives both up without a word. What hooks into calls
        # (DDP, FSDP2) stays outside of both.
        if compiled:
            run = torch.compile(run, dynamic=True)
        if recomputed and i % recomputed == 0:
            run = partial(checkpoint, run, use_reentrant=False)
        if run != layer.forward:
            layer.forward = run


def _keep_cache_apart() -> None:
    """What torch has compiled it finds again by everything but the instructions that it was compiled for: those of
    another CPU, or of another ATEN_CPU_CAPABILITY, then give NaN, or end the process. So each has a folder of its own
    in the one that is set, or usual."""
    given = Path(os.environ.get(_CACHE, f"{tempfile.gettempdir()}/torchinductor_{os.getuid()}"))
    instructions = torch.backends.cpu.get_cpu_capability()
    if given.name != instructions:
        os.environ[_CACHE] = str(given / instructions)
