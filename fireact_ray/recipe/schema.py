"""The recipe: what a run does, from the teacher to the served agent. This file is its schema, `recipe_loader` reads it.

Unknown keys are problems. Suffixes carry units. Secrets never stand in a recipe: it names an environment variable or a
file, which is read where the key is used.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PlainSerializer,
    PositiveFloat,
    PositiveInt,
    StringConstraints,
    model_validator,
)

from fireact_ray.agent.quota.config import BudgetConfig, QuotaConfig
from fireact_ray.agent.tools.config import SearchConfig
from fireact_ray.core.settings import ModelPlace, Name, Place, Section, StayingPlace, not_empty, one_of
from fireact_ray.data.selection.config import ConvertConfig
from fireact_ray.recipe.api import ApiConfig
from fireact_ray.recipe.models import (
    LimitsConfig,
    MethodName,
    RendererName,
    SamplingConfig,
    ScriptedModelConfig,
    TeacherModelConfig,
)
from fireact_ray.recipe.serving import ServeConfig
from fireact_ray.recipe.systems import EvaluateConfig
from fireact_ray.rollouts.plan import Policy
from fireact_ray.tasks import TASKS
from fireact_ray.training.config import TrainSettings
from fireact_ray.training.trackers.base import TRACKERS

TaskName = Annotated[str, one_of("task", TASKS)]
TrackerName = Annotated[str, one_of("tracker", TRACKERS)]


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


class StudentConfig(Section):
    """Who learns. `base_model`: a folder or hub id in safetensors, or `nano`, the tiny Llama that ships with us."""

    kind: Annotated[Literal["local"], Field(exclude=True)] = "local"  # what is stored of such a student has no kind
    base_model: ModelPlace = "nano"
    renderer: RendererName = "plain"
    max_context: PositiveInt = 2048
    sampling: SamplingConfig = SamplingConfig(max_new_tokens=256)
    limits: LimitsConfig = LimitsConfig()

    @property
    def tokenizer_model(self) -> str:
        """Whose tokenizer makes the dataset."""
        return self.base_model


Auto = Literal["auto"]


class HostedStudentConfig(ApiConfig):
    """A student that a provider of OpenAI's fine-tuning protocol trains and serves; `name` is the base model there.

    `auto`: the provider chooses. `suffix`: a part of the trained model's name. `price_per_million_tokens`: $ for
    trained tokens; `max_cost_usd`: a training that is estimated to cost more is refused. `tokenizer`: of a folder, a
    hub id or `nano`; it counts what the provider will count in its own way. The seed is the recipe's.
    """

    kind: Literal["openai-ft"]
    n_epochs: PositiveInt | Auto = 3
    batch_size: PositiveInt | Auto = "auto"
    learning_rate_multiplier: PositiveFloat | Auto = "auto"
    suffix: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")] | None = None
    price_per_million_tokens: NonNegativeFloat | None = None
    max_cost_usd: PositiveFloat | None = None
    poll_every_s: PositiveFloat = 15.0
    tokenizer: ModelPlace = "nano"
    sampling: SamplingConfig = SamplingConfig(max_new_tokens=256)
    limits: LimitsConfig = LimitsConfig()
    quota: QuotaConfig = QuotaConfig()

    @model_validator(mode="after")
    def _a_cap_has_a_price(self) -> HostedStudentConfig:
        if self.max_cost_usd is not None and (self.price_per_million_tokens is None or self.n_epochs == "auto"):
            raise ValueError("max_cost_usd needs an estimate: set price_per_million_tokens, and n_epochs to a number")
        return self

    @property
    def tokenizer_model(self) -> str:
        return self.tokenizer

    @property
    def renderer(self) -> str:
        """Of the dataset, by which tokens are counted; the provider has its own."""
        return "plain"


def _local_where_not_said(student: Any) -> Any:
    return {"kind": "local", **student} if isinstance(student, dict) else student


Student = Annotated[
    StudentConfig | HostedStudentConfig, Field(discriminator="kind"), BeforeValidator(_local_where_not_said)
]


class GenerateConfig(Section):
    """`concurrency`: the teacher's calls in flight over all workers together. `budget`: of the teacher, over the whole
    run.

    `attempts`: rollouts per question and method, all of them made. Instead, `max_attempts_per_question` makes the next
    one only where those before it were not accepted (not finished, or known to be wrong), and `escalate` the next of
    `teacher.methods` only where the former failed. `target_accepted`: per method, stop at so many accepted rollouts.
    `max_retries`: how many later runs ask a row again that failed for a reason outside the agent; null: all of them.
    """

    split: str = "train"
    n_questions: PositiveInt | None = None
    attempts: PositiveInt = 1
    max_attempts_per_question: PositiveInt | None = None
    escalate: bool = False
    target_accepted: PositiveInt | None = None
    max_retries: NonNegativeInt | None = 3
    workers: PositiveInt = 1
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


class WorkerRange(Section):
    """As many workers as there is room for: fewer when a node is lost, more when one comes."""

    min: PositiveInt
    max: PositiveInt

    @model_validator(mode="after")
    def _is_a_range(self) -> WorkerRange:
        if self.min > self.max:
            raise ValueError(f"min ({self.min}) may be at most max ({self.max})")
        return self

    def __str__(self) -> str:
        return str(self.min) if self.min == self.max else f"{self.min} to {self.max}"


def _as_range(given: Any) -> Any:
    if isinstance(given, int) and not isinstance(given, bool) and given > 0:
        return WorkerRange(min=given, max=given)
    if isinstance(given, dict | WorkerRange):
        return given
    raise ValueError("expected a number from 1 on, or {min: 1, max: 4}")


def _as_given(workers: WorkerRange) -> Any:
    return workers.min if workers.min == workers.max else {"min": workers.min, "max": workers.max}


class AgentEvaluation(Section):
    """Ask the agent of a checkpoint, every so many steps, the first `n_questions` of a split, beside the training and
    without holding it up. `every_steps`: a multiple of `train.checkpoint_every_steps`. It takes a CPU beyond those of
    the workers, with `use_gpu` a GPU as well."""

    every_steps: PositiveInt
    n_questions: PositiveInt = 50
    split: str = "dev"
    use_gpu: bool = False


class TrainSection(TrainSettings):
    """How a training is spread, beside what shapes it (training.config.TrainSettings).

    `workers`: a number, or {min, max}. A step's examples do not depend on it, so a change leaves the losses as they
    are. `max_failures`: so many lost workers or nodes a command gets over. `trackers`: who is told of it, beside
    log.jsonl; their keys and addresses are read from the environment, as always. `evaluate_agent`: null, or how often
    the agent is asked a few questions on the way.
    """

    workers: Annotated[WorkerRange, BeforeValidator(_as_range), PlainSerializer(_as_given)] = WorkerRange(min=1, max=1)
    use_gpu: bool = False
    threads_per_worker: PositiveInt | None = None
    max_failures: NonNegativeInt = 3
    trackers: tuple[TrackerName, ...] = ()
    evaluate_agent: AgentEvaluation | None = None

    @model_validator(mode="after")
    def _agents_have_checkpoints(self) -> TrainSection:
        asked, saved = self.evaluate_agent, self.checkpoint_every_steps
        if asked is not None and (not saved or asked.every_steps % saved):
            raise ValueError(
                f"evaluate_agent.every_steps ({asked.every_steps}) has to be a multiple of checkpoint_every_steps "
                f"({saved}): it is a checkpoint's model that is asked"
            )
        return self

    @model_validator(mode="after")
    def _shards_are_spread(self) -> TrainSection:
        if self.sharding != "ddp" and self.workers.min == 1:
            raise ValueError(
                f"sharding {self.sharding} spreads a model over several workers, and workers is 1. "
                "Set workers to 2 or more, or sharding to ddp"
            )
        return self

    @model_validator(mode="after")
    def _may_change_its_workers(self) -> TrainSection:
        if self.workers.min < self.workers.max and self.sharding == "zero3":
            raise ValueError(
                "zero3 cannot go on with another number of workers: set train.workers to one number, or sharding: fsdp2"
            )
        return self


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
        return f"{self.output_dir.rstrip('/')}/{self.name}"
