"""Generate, convert, train, evaluate: each stage reads what the one before wrote, and skips what is done."""

import logging

from fireact_ray.core.errors import InputError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.lease import run_lease
from fireact_ray.core.utils.itinerary import PIPELINE, Itinerary
from fireact_ray.evaluation.report import Report
from fireact_ray.recipe.schema import Recipe
from fireact_ray.stages.convert import convert
from fireact_ray.stages.evaluate import evaluate
from fireact_ray.stages.generate import generate
from fireact_ray.stages.ray_session import ray_session
from fireact_ray.stages.train_student import train_student

logger = logging.getLogger(__name__)


def pipeline(recipe: Recipe, itinerary: Itinerary | None = None) -> list[Report]:
    """The whole run on one Ray session; returns the reports. `itinerary`: of a command that does more."""
    demand_mounted(recipe)
    stages = itinerary or Itinerary("run", PIPELINE)
    with run_lease(Folder(recipe.run_dir), "fireact run"), ray_session(recipe.ray):
        with stages.stage("generate"):
            generate(recipe)
        with stages.stage("convert"):
            convert(recipe)
        with stages.stage("train"):
            train_student(recipe)
        with stages.stage("evaluate"):
            reports = evaluate(recipe)
    if itinerary is None:
        logger.info(stages.summary())
    return reports


def demand_mounted(recipe: Recipe) -> None:
    """Raises InputError for an output_dir that `train` could not take, before `generate` has paid for anything."""
    if not Folder(recipe.run_dir).is_local:
        raise InputError(
            f"output_dir {recipe.output_dir}: `fireact train` needs a local or mounted folder, so a whole run cannot "
            "lie there. Set output_dir to a folder that every node mounts; `fireact generate` and `fireact convert` "
            "alone take a remote one."
        )
