"""The model that a checkpoint holds, as the folder that its training would end in. Needs no workers."""

from __future__ import annotations

from pathlib import Path

import torch

from fireact_ray.core.json_text import parse
from fireact_ray.training.artifacts import write_model
from fireact_ray.training.base import find_base
from fireact_ray.training.checkpoint_folders import CARD
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.held_out import hold_out
from fireact_ray.training.mapped.loading import load_dataset
from fireact_ray.training.sharding import saved_weights
from fireact_ray.training.sharding.loading import empty_base, prepare_empty


def write_checkpoint_model(checkpoint: Path, dataset_dir: str | Path, out: Path) -> Path:
    """Write the model after the steps of `checkpoint`, which is whole and was made with the dataset; returns `out`.

    Of the base nothing is loaded; what is trained is held whole. Raises OSError where the checkpoint is gone.
    """
    card = parse((checkpoint / CARD).read_bytes())
    config, data = TrainConfig.from_dict(card["config"]), load_dataset(dataset_dir)
    how_it_ran = {"activation_checkpointing": None, "compile": False, "kernels": "torch"}
    base = empty_base(find_base(config.base_model), torch.float32)
    model = prepare_empty(base, config.changed(**how_it_ran)).model
    shapes = {name: weight.shape for name, weight in model.named_parameters() if weight.requires_grad}
    trained = saved_weights(config.sharding, checkpoint, shapes)
    rows, _ = hold_out(data.rows, config.held_out)
    write_model(out, model, trained, config, data, n_examples=len(rows), steps=card["step"], losses={})
    return out
