"""The `train` section of a recipe: how a training is spread over workers, and who is told of it."""

from __future__ import annotations

from typing import Annotated

from pydantic import NonNegativeInt, PositiveInt, model_validator

from fireact_ray.core.settings import Section, one_of
from fireact_ray.recipe.workers import WorkerRange, Workers
from fireact_ray.training.config import TrainSettings
from fireact_ray.training.trackers.base import TRACKERS

TrackerName = Annotated[str, one_of("tracker", TRACKERS)]


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

    workers: Workers = WorkerRange.of(1)
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
