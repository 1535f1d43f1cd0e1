"""The recipe: what a run does, from the teacher to the served agent. This file is its schema, whose larger
sections stand beside it (students, training, systems, models); `loader` reads it.

Unknown keys are problems. Suffixes carry units. Secrets never stand in a recipe: it names an environment variable or a
file, which is read where the key is used.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveInt, model_validator

from fireact_ray.agent.quota.config import BudgetConfig, QuotaConfig
from fireact_ray.agent.tools.config import SearchConfig
from fireact_ray.core.paths import below
from fireact_ray.core.settings import Name, Place, Section, StayingPlace, not_empty, one_of
from fireact_ray.data.selection.config import ConvertConfig
from fireact_ray.recipe.models import LimitsConfig, MethodName, SamplingConfig, ScriptedModelConfig, TeacherModelConfig
from fireact_ray.recipe.serving import ServeConfig
from fireact_ray.recipe.students import HostedStudentConfig, Student, StudentConfig
from fireact_ray.recipe.systems import EvaluateConfig
from fireact_ray.recipe.training import TrainSection
from fireact_ray.recipe.workers import WorkerRange, Workers
from fireact_ray.rollouts.plan import Policy
from fireact_ray.tasks import TASKS

TaskName = Annotated[str, one_of("task", TASKS)]


class TaskConfig(Section):
    """Where questions come from. `path`: the task's file or folder; the almanac needs none."""

    name: TaskName = "almanac"
    path: Place | None = None


class TeacherConfig(Section):
    """Who writes the trajectories. Each question is asked once per method."""

    model: TeacherModelConfig = ScriptedModelConfig()
    methods: Annotated[tuple[MethodName, ...], AfterValidator(not_empty)] = ("react",)
    reflect_every: PositiveInt = 4
    sampling: SamplingConfig = SamplingConfig()
    limits: LimitsConfig = LimitsConfig()
    quota: QuotaConfig = QuotaConfig()


class GenerateConfig(Section):
    """`concurrency`: the teacher's calls in flight over all workers together. `budget`: of the teacher, over the whole
    run.

    `attempts`: rollouts per question and method, all of them made. Instead, `max_attempts_per_question` makes the next
    one only where those before it were not accepted (not finished, or known to be wrong), and `escalate` the next of
    `teacher.methods` only where the former failed. `target_accepted`: per method, stop at so many accepted rollouts.
    `max_retries`: how many later runs ask a row again that failed for a reason outside the agent; null: all of them.
    `workers`: a number, or {min, max}: as many as have rows to run and a quota that lets their calls through. Each
    makes concurrency / max calls at a time, so fewer workers make fewer.
    """

    split: str = "train"
    n_questions: PositiveInt | None = None
    attempts: PositiveInt = 1
    max_attempts_per_question: PositiveInt | None = None
    escalate: bool = False
    target_accepted: PositiveInt | None = None
    max_retries: NonNegativeInt | None = 3
    workers: Workers = WorkerRange.of(1)
    concurrency: PositiveInt = 64
    budget: BudgetConfig = BudgetConfig()

    @model_validator(mode="after")
    def _one_kind_of_attempts(self) -> GenerateConfig:
        if self.attempts > 1 and self.max_attempts_per_question is not None:
            raise ValueError("set `attempts` (all are made) or `max_attempts_per_question` (until one is accepted)")
        return self

    @property
    def policy(self) -> Policy:
        attempts = self.max_attempts_per_question or self.attempts
        return Policy(attempts, self.max_attempts_per_question is not None, self.escalate, self.target_accepted)


class RayConfig(Section):
    """`address` null: the cluster of $RAY_ADDRESS (so it is under `ray job submit`), else a local one of its own."""

    address: str | None = None
    num_cpus: PositiveInt | None = None


class Recipe(Section):
    """The whole run. Every section has defaults; `name` is the run's folder name under `output_dir`.

    `replay`: the folder of another run, whose journals answer every call of generate and evaluate; nothing is asked
    outside, and no key is needed. Paths are relative to the folder where the command is given. `experiments`: by the
    name of an experiment, what is otherwise in it for this recipe (recipe.experiments).
    """

    name: Name
    output_dir: StayingPlace = "runs"
    seed: int = 0
    replay: Place | None = None
    task: TaskConfig = TaskConfig()
    search: SearchConfig = SearchConfig()
    teacher: TeacherConfig = TeacherConfig()
    student: Student = StudentConfig()
    generate: GenerateConfig = GenerateConfig()
    convert: ConvertConfig = ConvertConfig()
    train: TrainSection = TrainSection()
    evaluate: EvaluateConfig = EvaluateConfig()
    serve: ServeConfig = ServeConfig()
    ray: RayConfig = RayConfig()
    experiments: dict[str, dict[str, Any]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _task_has_its_path(self) -> Recipe:
        if TASKS[self.task.name].needs_path and self.task.path is None:
            raise ValueError(f"task.path: the task '{self.task.name}' reads a file or folder; set it")
        return self

    @model_validator(mode="after")
    def _a_hosted_student_is_trained_elsewhere(self) -> Recipe:
        if not isinstance(self.student, HostedStudentConfig):
            return self
        if self.train != TrainSection():
            raise ValueError(
                "train: shapes the training of a local student. One of kind openai-ft is shaped by student.n_epochs, "
                "student.batch_size and student.learning_rate_multiplier: leave the section out"
            )
        if self.evaluate.use_gpu or self.serve.use_gpu:
            raise ValueError("use_gpu: a student of kind openai-ft answers at its provider: leave it out")
        return self

    @property
    def run_dir(self) -> str:
        return below(self.output_dir, self.name)
