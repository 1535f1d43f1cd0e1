"""A student's folder (or a base model) as a chat model: weights, tokenizer and the renderer of their training."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from fireact_ray.agent.models.local import LocalChat
from fireact_ray.core.errors import InputError
from fireact_ray.core.hashing import content_hash
from fireact_ray.recipe.schema import StudentConfig
from fireact_ray.rendering import make_renderer
from fireact_ray.rendering.base import Renderer
from fireact_ray.rendering.tokenizer import HubTokenizer

_CARD = "fireact.json"

logger = logging.getLogger(__name__)


def open_student(model_dir: str, config: StudentConfig, *, on_gpu: bool) -> LocalChat:
    """Load weights and start an engine. Raises InputError for an incomplete folder, DataError for a wrong base."""
    import torch

    from fireact_ray.agent.models.engines.torch_engine import TorchEngine
    from fireact_ray.training.artifacts import load_trained
    from fireact_ray.training.precision import by_hardware, for_inference

    renderer, tokenizer = open_renderer(model_dir, config), HubTokenizer.load(model_dir)
    device = torch.device("cuda" if on_gpu else "cpu")
    held = torch.bfloat16 if on_gpu and by_hardware("auto", device).bf16 else torch.float32
    model = load_trained(model_dir, merge=True, dtype=held, device=device).model
    precision = for_inference(model, device)
    logger.info("%s: precision %s", student_name(model_dir), precision)
    engine = TorchEngine(
        model.to(torch.bfloat16) if precision.bf16 else model,
        end_id=renderer.end_id,
        pad_id=tokenizer.pad_id,
        decode=tokenizer.decode,  # not the renderer's, which strips the newline that a stop string begins with
        max_context=config.max_context,
    )
    return LocalChat(student_name(model_dir), engine, renderer)


def open_renderer(model_dir: str, config: StudentConfig) -> Renderer:
    """The renderer of a model. Raises InputError when it is not the one that the model was trained with."""
    renderer = make_renderer(config.renderer, HubTokenizer.load(model_dir))
    trained_with = _card(model_dir).get("renderer_fingerprint")
    if trained_with is not None and trained_with != renderer.fingerprint:
        raise InputError(
            f"{model_dir} was trained with renderer {trained_with}, the recipe asks for {renderer.fingerprint}. "
            "Set student.renderer to the one it was trained with, or train again."
        )
    return renderer


def student_name(model_dir: str) -> str:
    """Names the weights: part of every row key, so that another model never passes for this one."""
    card = _card(model_dir)
    name = Path(card.get("base_model", model_dir)).name
    return f"{name}+{card['tuning']}-{content_hash(card, 8)}" if card else f"{name}-base"


def _card(model_dir: str) -> dict:
    file = Path(model_dir) / _CARD
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
