"""Judge: answers -> verdicts of the recipe's teacher, with its quota, budget and journal; only new ones are paid for.

All that is judged by a recipe lies in one run folder, <name>-judge, whose rows are keyed by what was asked: what was
judged once, in whatever file, is not asked again, and `fireact status` reads it as any other.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from fireact_ray.agent.tools.config import SearchConfig
from fireact_ray.core.paths import below
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import read_trajectories
from fireact_ray.evaluation.episodes import Episode
from fireact_ray.evaluation.judged import Judged, Verdict, judged, to_be_judged
from fireact_ray.evaluation.recorded.questions import Questions
from fireact_ray.evaluation.recorded.reading import Reader
from fireact_ray.evaluation.recorded.rescore import Rescored, answered
from fireact_ray.recipe.schema import GenerateConfig, Recipe, TaskConfig
from fireact_ray.recipe.teacher import teacher_name
from fireact_ray.stages.generate import generate
from fireact_ray.tasks.forms import verdict
from fireact_ray.tasks.judging import FILE, NAME

_SUFFIX = "-judge"  # of the run folder

logger = logging.getLogger(__name__)


def judge(recipe: Recipe, scored: Sequence[tuple[Rescored, Reader]], questions: Questions | None) -> Iterator[Rescored]:
    """The same reports with what the recipe's teacher says of the answers. Raises what `generate` does."""
    rows = [partial(answered, reader, questions) for _, reader in scored]
    for (one, _), found in zip(scored, judge_rows(recipe, rows), strict=True):
        yield one.with_judge(found)


def judge_rows(recipe: Recipe, reports: Sequence[Callable[[], Iterable[Episode]]]) -> list[Judged | None]:
    """`reports`: of each its episodes that have accepted answers, read twice. Raises what `generate` does."""
    judging, name = _judging(recipe), teacher_name(recipe.teacher.model)
    lines: dict[str, dict[str, Any]] = {}
    for episodes in reports:
        lines.update((asked.id, line) for asked, line in to_be_judged(episodes()))
    verdicts: dict[str, Verdict] = {}
    if lines:
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines.values())
        Folder(judging.run_dir).write(FILE, text)
        logger.info("judge: %d answers to %s -> %s", len(lines), name, judging.run_dir)
        for row in read_trajectories(generate(judging)):
            if row.question.id in lines:
                said = None if row.answer is None else verdict(row.answer)
                verdicts[row.question.id] = Verdict(None if said is None else said == "yes", row.cost_usd)
    return [judged(name, episodes(), verdicts) for episodes in reports]


def _judging(recipe: Recipe) -> Recipe:
    """The recipe that asks its teacher for verdicts: one reply each, no search. A replay asks nobody: it takes those of
    the recorded run."""
    generation = GenerateConfig(
        workers=recipe.generate.workers, concurrency=recipe.generate.concurrency, budget=recipe.generate.budget
    )
    named = recipe.model_copy(update={"name": f"{recipe.name}{_SUFFIX}"})
    return named.model_copy(
        update={
            "task": TaskConfig(name=NAME, path=below(named.run_dir, FILE)),
            "search": SearchConfig(),
            "teacher": recipe.teacher.model_copy(update={"methods": ("io",)}),
            "generate": generation,
            "replay": f"{recipe.replay.rstrip('/')}{_SUFFIX}" if recipe.replay else None,
        }
    )
