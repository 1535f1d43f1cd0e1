"""The systems of an evaluation, each opened by its kind: what builds its agents, and what shapes its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from fireact_ray.agent.agent import AgentBuilder
from fireact_ray.agent.quota.config import QuotaConfig
from fireact_ray.agent.tools.noise import Noise
from fireact_ray.core.errors import InputError
from fireact_ray.core.paths import named
from fireact_ray.core.storage.artifacts import MODEL_CARD
from fireact_ray.core.storage.folder import Folder
from fireact_ray.recipe.endpoint import EndpointAgents, at_endpoint
from fireact_ray.recipe.hosted import hosted_agents, hosted_model
from fireact_ray.recipe.inputs import endpoint_inputs, model_inputs, student_inputs, teacher_inputs
from fireact_ray.recipe.models import ScriptedModelConfig
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.student import (
    StudentAgents,
    base_model_dir,
    local_student,
    open_renderer,
    student_dir,
    student_name,
)
from fireact_ray.recipe.students import HostedStudentConfig, StudentConfig
from fireact_ray.recipe.systems import EndpointSystem, Entry, ModelSystem, StudentSystem, TeacherSystem
from fireact_ray.recipe.teacher import TeacherAgents, instead, running_teacher
from fireact_ray.recipe.trials import Trial, sampling_of_entry
from fireact_ray.tasks import load_questions
from fireact_ray.training.base import base_fingerprint, find_base

_OTHERS = 1_000  # questions of the split whose results the noise `random` shows; so many, however many are evaluated


@dataclass(frozen=True)
class System:
    """A trial to run. `planner` builds agents that only name rows; `inputs` are what shapes its trajectories.
    `is_local`: it runs on our own engine, which keeps what it has read of as many conversations as it has slots."""

    trial: Trial
    builder: AgentBuilder
    planner: AgentBuilder
    inputs: dict[str, Any]
    is_local: bool = False

    @property
    def label(self) -> str:
        return self.trial.label


@contextmanager
def opened_systems(recipe: Recipe, trials: list[Trial]) -> Iterator[list[System]]:
    """In the order of the trials, those of recorded runs left out; scripted teachers run meanwhile.

    Raises InputError for a missing model or file, and for a renderer that a model was not trained with.
    """
    with ExitStack() as stack:
        opening = _Opening(recipe, stack)
        yield [opening.open(trial) for trial in trials if type(trial.entry) in _OPENERS]


class _Opening:
    def __init__(self, recipe: Recipe, stack: ExitStack) -> None:
        self.recipe = recipe
        self._stack = stack
        self._others: tuple[str, ...] | None = None
        self._running: dict[ScriptedModelConfig, Recipe] = {}

    def open(self, trial: Trial) -> System:
        found = _OPENERS[type(trial.entry)](self, trial)
        inputs = dict(found.inputs)
        if (method := getattr(trial.entry, "method", "react")) != "react":
            inputs["method"] = method
        if method == "reflexion":
            inputs["reflect_every"] = self.recipe.teacher.reflect_every
        if trial.condition is None:
            return replace(found, inputs=inputs)
        inputs["condition"] = trial.condition.model_dump(mode="json", exclude={"name"})
        noise = self._noise(trial)
        builder, planner = (_with_noise(agents, noise) for agents in (found.builder, found.planner))
        return replace(found, builder=builder, planner=planner, inputs=inputs)

    def reachable(self, asked: Recipe) -> Recipe:
        """With the address of a running teacher in place of a scripted one, which is started once for all trials."""
        config = asked.teacher.model
        if not isinstance(config, ScriptedModelConfig) or self.recipe.replay is not None:
            return asked
        if config not in self._running:
            self._running[config] = self._stack.enter_context(running_teacher(asked))
        model = self._running[config].teacher.model
        return asked.model_copy(update={"teacher": asked.teacher.model_copy(update={"model": model})})

    def _noise(self, trial: Trial) -> Noise:
        assert trial.condition is not None
        plan, task = trial.condition.plan(), self.recipe.task
        if plan.kind != "random":
            return Noise(plan)
        if self._others is None:
            questions = load_questions(task.name, task.path, self.recipe.evaluate.split, _OTHERS)
            self._others = tuple(question.text for question in questions)
        return Noise(plan, self._others)


def _with_noise(agents: AgentBuilder, noise: Noise) -> AgentBuilder:
    assert isinstance(agents, TeacherAgents | StudentAgents)
    return replace(agents, noise=noise)


def _teacher(opening: _Opening, trial: Trial) -> System:
    entry, recipe = trial.entry, opening.recipe
    assert isinstance(entry, TeacherSystem)
    teacher = recipe.teacher.model_copy(
        update={
            "methods": (entry.method,),
            "sampling": sampling_of_entry(recipe, entry, trial.seed),
            "limits": entry.limits or recipe.teacher.limits,
        }
    )
    if entry.model is None:
        asked = recipe.model_copy(update={"teacher": teacher})
    else:
        own = {"model": entry.model, "quota": entry.quota or QuotaConfig(prices=recipe.teacher.quota.prices)}
        asked = instead(recipe, teacher.model_copy(update=own))
    agents = TeacherAgents(opening.reachable(asked))
    return System(trial, agents, replace(agents, opened=False), teacher_inputs(asked))


def _student(opening: _Opening, trial: Trial) -> System:
    """`base`: the base model prompted with examples; `finetuned`: the run's model without them."""
    entry = trial.entry
    assert isinstance(entry, StudentSystem)
    recipe = _seeded(opening.recipe, trial)
    if isinstance(recipe.student, HostedStudentConfig):
        hosted = hosted_agents(recipe, entry.kind, entry.method)
        inputs = {**student_inputs(recipe, entry.kind), "model": hosted_model(recipe, entry.kind)}
        return System(trial, hosted, replace(hosted, opened=False), inputs)
    folder = student_dir(recipe, entry.kind)
    return _local(trial, recipe, folder, entry.kind == "base", entry.method, student_inputs(recipe, entry.kind))


def _model(opening: _Opening, trial: Trial) -> System:
    entry, recipe = trial.entry, _seeded(opening.recipe, trial)
    assert isinstance(entry, ModelSystem)
    student = recipe.student
    if not isinstance(student, StudentConfig):
        student = StudentConfig(sampling=student.sampling, limits=student.limits)
    own = {"base_model": entry.path, "renderer": entry.renderer or student.renderer}
    recipe = recipe.model_copy(update={"student": student.model_copy(update=own)})
    folder, is_trained = _model_dir(entry.path)
    few_shot = not is_trained if entry.few_shot is None else entry.few_shot
    inputs = {**model_inputs(recipe), "few_shot": few_shot}
    if not is_trained:
        inputs["base"] = named(entry.path, base_fingerprint(find_base(folder)))
    return _local(trial, recipe, folder, few_shot, entry.method, inputs)


def _local(trial: Trial, recipe: Recipe, folder: str, few_shot: bool, method: str, inputs: dict[str, Any]) -> System:
    renderer = open_renderer(folder, local_student(recipe))
    model = {"model": student_name(folder), "renderer_fingerprint": renderer.fingerprint}
    agents = StudentAgents(recipe, folder, few_shot, recipe.evaluate.use_gpu, method=method)
    return System(trial, agents, replace(agents, opened=False), {**inputs, **model}, is_local=True)


def _endpoint(opening: _Opening, trial: Trial) -> System:
    assert isinstance(trial.entry, EndpointSystem)
    asked = at_endpoint(opening.recipe, trial.entry)
    agents = EndpointAgents(asked)
    return System(trial, agents, replace(agents, opened=False), endpoint_inputs(asked))


_OPENERS: dict[type[Entry], Callable[[_Opening, Trial], System]] = {
    TeacherSystem: _teacher,
    StudentSystem: _student,
    ModelSystem: _model,
    EndpointSystem: _endpoint,
}


def _seeded(recipe: Recipe, trial: Trial) -> Recipe:
    sampling = sampling_of_entry(recipe, trial.entry, trial.seed)
    return recipe.model_copy(update={"student": recipe.student.model_copy(update={"sampling": sampling})})


def _model_dir(path: str) -> tuple[str, bool]:
    """The model's folder (of a base model on a hub its id), and whether it was trained here.

    Raises InputError for a run without a model, and for an incomplete base model.
    """
    for folder in (Folder(path) / "model", Folder(path)):
        if folder.exists(MODEL_CARD):
            return folder.place, True
    if Folder(path).exists("recipe.yaml"):
        raise InputError(f"{path}: this run has no trained model. Run `fireact train` there first, or name another.")
    find_base(base_model_dir(path))
    return base_model_dir(path), False
