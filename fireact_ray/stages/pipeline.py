"""Generate, convert, train, evaluate: each stage reads what the one before wrote, and skips what is done."""

import logging
from collections.abc import Callable, Sequence

from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.lease import run_lease
from fireact_ray.core.utils.itinerary import PIPELINE, Itinerary
from fireact_ray.evaluation.report import Report
from fireact_ray.recipe.schema import Recipe
from fireact_ray.stages.convert import convert
from fireact_ray.stages.evaluate import evaluate
from fireact_ray.stages.generate import generate
from fireact_ray.stages.ray_session import ray_session
from fireact_ray.stages.shared_folder import demand_placed
from fireact_ray.stages.train_student import train_student
from fireact_ray.training.trackers import demand_trackers

logger = logging.getLogger(__name__)


def pipeline(
    recipe: Recipe, itinerary: Itinerary | None = None, asked: Sequence[str] = tuple(PIPELINE)
) -> list[Report]:
    """The whole run on one Ray session; returns the reports. `itinerary`: of a command that does more. `asked`: these
    stages, in their order; without `evaluate` there are no reports."""
    if "train" in asked:
        demand_placed(recipe.output_dir, "fireact train")
        demand_trackers(recipe.train.trackers)  # before `generate` has paid for anything
    stages, reports = itinerary or Itinerary("run", PIPELINE), []
    with run_lease(Folder(recipe.run_dir), "fireact run"), ray_session(recipe.ray):
        for name in asked:
            with stages.stage(name):
                if name == "evaluate":
                    reports = evaluate(recipe)
                else:
                    _STAGES[name](recipe)
    if itinerary is None:
        logger.info(stages.summary())
    return reports


_STAGES: dict[str, Callable[[Recipe], object]] = {"generate": generate, "convert": convert, "train": train_student}
