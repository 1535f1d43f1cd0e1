"""How well the agent answers a few questions while its model is still trained: a task opens a checkpoint's model as the
agent that is evaluated later, and asks.

Not by Ray Train's own validation: a task whose process dies there ends the training, an interrupt waits for it, and
every checkpoint that waits for its turn is kept.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import ray

from fireact_ray.agent.agent import Agent
from fireact_ray.core.errors import DataError
from fireact_ray.core.storage.fetched import fetched_while
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.scratch import scratch_folder
from fireact_ray.core.types import Question
from fireact_ray.core.utils.interrupts import interrupts_wait
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.search import open_backend
from fireact_ray.recipe.student import StudentAgents
from fireact_ray.recipe.training import AgentEvaluation
from fireact_ray.stages.actors.log_forwarding import forward_warnings
from fireact_ray.stages.examiner import Examiner
from fireact_ray.stages.reported import after_step
from fireact_ray.tasks import load_questions
from fireact_ray.training.progress.entries import AgentMetrics

_SCRATCH = "fireact-agents-"
_WHOLE_S = 60.0  # how long other workers may still write their parts
_LOOK_S = 0.5
_ENDING_S = 600.0  # how long a training that is over waits for the last metrics

logger = logging.getLogger(__name__)


@contextmanager
def agent_asked(
    recipe: Recipe, checkpoints: Folder, dataset: str, tell: Callable[[AgentMetrics], None]
) -> Iterator[Callable[[int], None]]:
    """Gives what is to be called with the step of each checkpoint; `tell` is called with the metrics of those that the
    recipe asks for. Raises InputError where there are no such questions.
    """
    asked = recipe.train.evaluate_agent
    if asked is None:
        yield lambda step: None
        return
    questions = load_questions(recipe.task.name, recipe.task.path, asked.split, asked.n_questions)
    _warn_without_room(recipe, asked)
    examine = _Examination(asked, recipe, questions, checkpoints, dataset)
    examiner = Examiner(examine, asked.every_steps, tell)
    try:
        yield examiner.checkpoint
        with interrupts_wait() as interrupted:
            _wait(examiner, interrupted)
    finally:
        examine.cancel()
        examiner.close()


def _wait(examiner: Examiner, interrupted: Callable[[], bool]) -> None:
    until, is_said = time.monotonic() + _ENDING_S, False
    while not examiner.ends_within(_LOOK_S) and not interrupted():
        if not is_said:
            logger.info("train: the training is over, the agent of its last checkpoint is still asked")
            is_said = True
        if time.monotonic() > until:
            logger.warning("train: the agent was not evaluated within %.0f s after the training", _ENDING_S)
            return


class _Examination:
    """Called with a step: gives the metrics of its checkpoint, by a task. One call at a time."""

    def __init__(self, asked: AgentEvaluation, *arguments: Any) -> None:
        takes = {"num_cpus": 1, "num_gpus": float(asked.use_gpu), "max_retries": 0}
        self._task: Any = ray.remote(metrics_of).options(**takes)
        self._arguments = asked.use_gpu, *arguments
        self._at_work: Any = None

    def __call__(self, step: int) -> AgentMetrics:
        self._at_work = self._task.remote(step, *self._arguments)
        metrics: AgentMetrics = ray.get(self._at_work)
        return metrics

    def cancel(self) -> None:
        if self._at_work is not None:
            ray.cancel(self._at_work, force=True)


def metrics_of(
    step: int, on_gpu: bool, recipe: Recipe, questions: Sequence[Question], checkpoints: Folder, dataset: str
) -> AgentMetrics:
    """Of the checkpoint after `step`. Raises DataError where it is gone, or never becomes whole."""
    from fireact_ray.training.checkpoint_model import write_checkpoint_model

    forward_warnings()
    with scratch_folder(_SCRATCH) as scratch:
        with fetched_while(_whole(checkpoints, step).uri) as checkpoint:
            model = write_checkpoint_model(checkpoint, dataset, scratch / "model")
        agents = StudentAgents(recipe, str(model), few_shot=False, on_gpu=on_gpu)
        em = asyncio.run(_exact_match(agents, recipe, questions))
    return AgentMetrics(agent_step=step, agent_em=em, agent_questions=len(questions))


def _whole(checkpoints: Folder, step: int) -> Folder:
    until = time.monotonic() + _WHOLE_S
    while (found := after_step(checkpoints, step)) is None:
        if time.monotonic() > until:
            raise DataError(f"{checkpoints.shown}: no whole checkpoint after step {step} (any more)")
        time.sleep(_LOOK_S)
    return found


async def _exact_match(agents: StudentAgents, recipe: Recipe, questions: Sequence[Question]) -> float:
    """Mean over all questions; one without an answer is wrong."""
    backend = open_backend(recipe.search)
    agent: Agent = agents(backend, recipe.evaluate.concurrency)["react"]
    try:
        found = await asyncio.gather(*(agent.run(question) for question in questions))
    finally:
        await agent.close()
        await backend.close()
    return sum(each.score.exact_match for each in found if each.score) / len(found)


def _warn_without_room(recipe: Recipe, asked: AgentEvaluation) -> None:
    workers, resources = recipe.train.workers.min, ray.cluster_resources()
    needed = {"CPU": workers + 1, "GPU": workers * recipe.train.use_gpu + asked.use_gpu}
    for kind, number in needed.items():
        if (there := resources.get(kind, 0.0)) < number:
            logger.warning(
                "train: workers and the agent that is evaluated take %d %ss, the cluster has %g: the agent has to wait "
                "until there are more, or the training is over",
                number,
                kind,
                there,
            )
