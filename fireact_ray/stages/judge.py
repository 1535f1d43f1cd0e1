"""Judge: answers -> verdicts of the recipe's teacher, with its quota, budget and journal; only new ones are paid for.

All that is judged by a recipe lies in one run folder, <name>-judge, whose rows are keyed by what was asked: what was
judged once, in whatever file, is not asked again, and `fireact status` reads it as any other.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from typing import Any

from fireact_ray.agent.tools.config import SearchConfig
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import read_trajectories
from fireact_ray.evaluation.recorded.judged import judged, to_be_judged
from fireact_ray.evaluation.recorded.questions import Questions
from fireact_ray.evaluation.recorded.reading import Reader
from fireact_ray.evaluation.recorded.rescore import Rescored
from fireact_ray.recipe.schema import GenerateConfig, Recipe, TaskConfig
from fireact_ray.recipe.teacher import teacher_name
from fireact_ray.stages.generate import generate
from fireact_ray.tasks.forms import verdict
from fireact_ray.tasks.judging import FILE, NAME

logger = logging.getLogger(__name__)


def judge(recipe: Recipe, scored: Sequence[tuple[Rescored, Reader]], questions: Questions | None) -> Iterator[Rescored]:
    """The same reports with what the recipe's teacher says of the answers. Raises what `generate` does."""
    judging = _judging(recipe)
    lines: dict[str, dict[str, Any]] = {}
    for _, reader in scored:
        lines.update((asked.id, line) for asked, line in to_be_judged(reader, questions))
    verdicts: dict[str, bool] = {}
    if lines:
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines.values())
        Folder(judging.run_dir).write(FILE, text)
        logger.info("judge: %d answers to %s -> %s", len(lines), teacher_name(recipe.teacher.model), judging.run_dir)
        for row in read_trajectories(generate(judging)):
            if row.question.id in lines and row.answer is not None and (said := verdict(row.answer)) is not None:
                verdicts[row.question.id] = said == "yes"
    for one, reader in scored:
        yield one.with_judge(judged(teacher_name(recipe.teacher.model), reader, questions, verdicts))


def _judging(recipe: Recipe) -> Recipe:
    """The recipe that asks its teacher for verdicts: one reply each, no search."""
    generation = GenerateConfig(
        workers=recipe.generate.workers, concurrency=recipe.generate.concurrency, budget=recipe.generate.budget
    )
    named = recipe.model_copy(update={"name": f"{recipe.name}-judge"})
    return named.model_copy(
        update={
            "task": TaskConfig(name=NAME, path=f"{named.run_dir}/{FILE}"),
            "search": SearchConfig(),
            "teacher": recipe.teacher.model_copy(update={"methods": ("io",)}),
            "generate": generation,
            "replay": None,
        }
    )
