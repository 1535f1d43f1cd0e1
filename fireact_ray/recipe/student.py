"""A student's folder (or a base model) as a chat model: weights, tokenizer and the renderer of their training."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fireact_ray.agent.agent import Agent
from fireact_ray.agent.methods import make_method
from fireact_ray.agent.models.base import ChatModel
from fireact_ray.agent.models.local import LocalChat
from fireact_ray.agent.models.slots import slotted
from fireact_ray.agent.placeholders import UnopenedModel
from fireact_ray.agent.tools.base import SearchBackend
from fireact_ray.agent.tools.noise import Noise
from fireact_ray.core.errors import InputError
from fireact_ray.core.hashing import content_hash
from fireact_ray.core.paths import NANO, NANO_DIR, named
from fireact_ray.core.storage.artifacts import MODEL_CARD, read_model_card
from fireact_ray.core.storage.fetched import fetched
from fireact_ray.core.storage.folder import Folder
from fireact_ray.recipe.models import limits_of, sampling_of
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.search import search_tools
from fireact_ray.recipe.students import StudentConfig
from fireact_ray.rendering import make_renderer
from fireact_ray.rendering.base import Renderer
from fireact_ray.rendering.tokenizer import HubTokenizer
from fireact_ray.tasks import TASKS
from fireact_ray.training.config import ADAPTED

if TYPE_CHECKING:
    from fireact_ray.agent.models.engines.torch_engine import Attached, TorchEngine

logger = logging.getLogger(__name__)


def local_student(recipe: Recipe) -> StudentConfig:
    """Raises InputError where a provider trains and serves the student."""
    if not isinstance(recipe.student, StudentConfig):
        raise InputError(f"student.kind {recipe.student.kind}: this needs a local student, with a model folder.")
    return recipe.student


def open_student(model_dir: str, config: StudentConfig, *, on_gpu: bool) -> LocalChat:
    """Load weights and start an engine. Raises InputError for an incomplete folder, DataError for a wrong base."""
    from fireact_ray.training.artifacts import load_trained

    renderer = open_renderer(model_dir, config)

    def load(dtype: Any, device: Any) -> Any:
        return load_trained(model_dir, merge=True, dtype=dtype, device=device).model

    engine = _torch_engine(load, model_dir, renderer.end_id, config, on_gpu=on_gpu)
    return LocalChat(student_name(model_dir), engine, renderer)


def _torch_engine(
    load: Callable[[Any, Any], Any],
    model_dir: str,
    end_id: int,
    config: StudentConfig,
    *,
    on_gpu: bool,
    adapters: Sequence[str] = (),
) -> TorchEngine:
    """`load`: dtype, device -> model."""
    import torch

    from fireact_ray.agent.models.engines.torch_engine import TorchEngine
    from fireact_ray.training.precision import by_hardware, for_inference

    tokenizer = HubTokenizer.load(model_dir)
    device = torch.device("cuda" if on_gpu else "cpu")
    guess = by_hardware(config.precision, device)
    model = load(torch.bfloat16 if on_gpu and guess.bf16 else torch.float32, device)
    precision = for_inference(model, device, config.precision)
    logger.info("%s: precision %s", student_name(model_dir), precision)
    return TorchEngine(
        model.to(torch.bfloat16) if precision.bf16 else model,
        end_id=end_id,
        pad_id=tokenizer.pad_id,
        decode=tokenizer.decode,  # not the renderer's, which strips the newline that a stop string begins with
        max_context=config.max_context,
        adapters=adapters,
    )


def open_renderer(model_dir: str, config: StudentConfig) -> Renderer:
    """The renderer of a model. Raises InputError when it is not the one that the model was trained with."""
    renderer = make_renderer(config.renderer, HubTokenizer.load(model_dir))
    trained_with = read_model_card(Folder(model_dir)).get("renderer_fingerprint")
    if trained_with is not None and trained_with != renderer.fingerprint:
        raise InputError(
            f"{model_dir} was trained with renderer {trained_with}, the recipe asks for {renderer.fingerprint}. "
            "Set student.renderer to the one it was trained with, or train again."
        )
    return renderer


def student_name(model_dir: str) -> str:
    """Names the weights: part of every row key, so that another model never passes for this one."""
    card = read_model_card(Folder(model_dir))
    name = Path(Folder(card.get("base_model", model_dir)).shown).name
    return f"{name}+{card['tuning']}-{content_hash(card, 8)}" if card else f"{name}-base"


def is_adapter(model_dir: str) -> bool:
    """Whether a model folder holds an adapter, of the base that its card names."""
    return read_model_card(Folder(model_dir)).get("tuning") in ADAPTED


def base_of(model_dir: str) -> Path:
    """The folder of the weights that an engine loads for a model: the base of an adapter, otherwise the model itself.

    Raises InputError for an incomplete folder, DataError where an adapter's base is not the one it was trained on.
    """
    from fireact_ray.training.base import base_of_adapter, find_base

    folder = fetched(model_dir)
    if is_adapter(folder):
        return base_of_adapter(Path(folder), read_model_card(Folder(folder)))
    return find_base(folder)


def open_attached(models: Sequence[StudentAgents]) -> dict[str, Attached]:
    """One torch engine for a base and adapters of it, each attached to its rows, by their `model_key`.

    Raises InputError for a renderer that a model was not trained with, DataError for a wrong base.
    """
    from fireact_ray.agent.models.engines.torch_engine import Attached
    from fireact_ray.training.adapters import BASE_ALONE, load_adapters

    first = models[0]
    base, student = base_of(first.model_dir), local_student(first.recipe)
    folders = {
        f"adapter-{n}": Path(fetched(one.model_dir)) for n, one in enumerate(models) if is_adapter(one.model_dir)
    }
    names = [f"adapter-{n}" if f"adapter-{n}" in folders else BASE_ALONE for n in range(len(models))]
    ends = [open_renderer(one.model_dir, local_student(one.recipe)).end_id for one in models]

    def load(dtype: Any, device: Any) -> Any:
        return load_adapters(folders, base, dtype).to(device)

    attached = names if folders else ()
    engine = _torch_engine(load, first.model_dir, ends[0], student, on_gpu=first.on_gpu, adapters=attached)
    return {one.model_key: Attached(engine, n, ends[n]) for n, one in enumerate(models)}


@dataclass(frozen=True)
class StudentAgents:
    """Builds the agent of a local model. `few_shot`: prompt it with examples (a base model), or not (a fine-tuned one).

    With `opened` False its model cannot be called: enough to plan rows without loading weights. `noise`: faults to
    order in its searches.
    """

    recipe: Recipe
    model_dir: str
    few_shot: bool
    on_gpu: bool = False
    opened: bool = True
    method: str = "react"
    noise: Noise | None = None

    @property
    def model_key(self) -> str:
        """Which model answers: by its folder, and by its renderer, whose end token ends a reply."""
        return f"{local_student(self.recipe).renderer} {self.model_dir}"

    def __call__(self, backend: SearchBackend, slots: int | None = None) -> dict[str, Agent]:
        model: ChatModel = UnopenedModel(student_name(self.model_dir))
        if self.opened:
            model = slotted(open_student(self.model_dir, local_student(self.recipe), on_gpu=self.on_gpu), slots)
        agent = student_agent(self.recipe, model, backend, few_shot=self.few_shot, method=self.method, noise=self.noise)
        return {self.method: agent}


def student_agent(
    recipe: Recipe,
    model: ChatModel,
    backend: SearchBackend,
    *,
    few_shot: bool = False,
    method: str = "react",
    noise: Noise | None = None,
) -> Agent:
    """The agent that is evaluated and served: by default ReAct over `model`, with the recipe's tools and limits."""
    return Agent(
        method=make_method(method, recipe.task.name, few_shot, recipe.teacher.reflect_every, recipe.search.names),
        model=model,
        tools=search_tools(recipe.search, backend, noise),
        sampling=sampling_of(recipe.student.sampling),
        limits=limits_of(recipe.student.limits),
        score=TASKS[recipe.task.name].score,
        noise=noise,
    )


def base_model_dir(base_model: str) -> str:
    """`nano` is the model that ships with the package; anything else is a folder or a hub id."""
    return str(NANO_DIR) if base_model == NANO else base_model


def named_base(recipe: Recipe) -> dict[str, str | None] | None:
    """The student's base model as a run folder remembers it. Raises InputError where it is incomplete."""
    from fireact_ray.training.base import base_fingerprint, find_base

    base_model = local_student(recipe).base_model
    return named(base_model, base_fingerprint(find_base(base_model)))


def student_dir(recipe: Recipe, system: str) -> str:
    """The folder of `base` or `finetuned`. Raises InputError where no model was trained yet."""
    if system == "base":
        return base_model_dir(local_student(recipe).base_model)
    model = Folder(recipe.run_dir) / "model"
    if not model.exists(MODEL_CARD):
        raise InputError(f"{model.uri}: no fine-tuned model there. Run `fireact train` first.")
    return model.place
