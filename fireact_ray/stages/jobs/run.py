"""A run inside the job that was submitted for it: its checks, its stages, and what it says of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from fireact_ray.core.errors import FireActError
from fireact_ray.core.utils.itinerary import PIPELINE, Itinerary
from fireact_ray.evaluation.report import Report
from fireact_ray.recipe.schema import Recipe
from fireact_ray.stages.jobs.checks import check_nodes
from fireact_ray.stages.jobs.told import CHECKING, FAILED, RESULT, STATE, STOPPED, tell
from fireact_ray.stages.pipeline import pipeline
from fireact_ray.stages.ray_session import ray_session

logger = logging.getLogger(__name__)


def run_job(recipe: Recipe, stages: Sequence[str] = tuple(PIPELINE)) -> str:
    """Returns the run folder. Raises what the checks and stages raise, after the job's metadata say so."""
    with ray_session(recipe.ray):
        tell(**{STATE: CHECKING})
        try:
            logger.info("job: checked: %s", check_nodes(recipe, stages))
            itinerary = Itinerary("job", dict.fromkeys(stages), on_stage=lambda where: tell(**{STATE: where}))
            reports = pipeline(recipe, itinerary, stages)
            logger.info(itinerary.summary())
        except KeyboardInterrupt:
            tell(**{STATE: STOPPED})
            raise
        except FireActError as error:
            tell(**{STATE: f"{FAILED}: {error}"})
            raise
        result = result_text(reports) or recipe.run_dir
        logger.info("job: done: %s", result)
        tell(**{STATE: "done", RESULT: result})
    return recipe.run_dir


def result_text(reports: Sequence[Report]) -> str:
    """One line: the exact match of each system, where any question has a known answer."""
    scored = [(report.name, report.metrics, report.n_planned) for report in reports]
    return ", ".join(f"{name}: EM {found.em} of {n}" for name, found, n in scored if found is not None)
