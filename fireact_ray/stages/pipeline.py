"""Generate, convert, train, evaluate: each stage reads what the one before wrote, and skips what is done."""

from fireact_ray.errors import InputError
from fireact_ray.evaluation.report import Report
from fireact_ray.lease import run_lease
from fireact_ray.recipe import Recipe
from fireact_ray.stages.convert import convert
from fireact_ray.stages.evaluate import evaluate
from fireact_ray.stages.generate import generate
from fireact_ray.stages.runtime import ray_session
from fireact_ray.stages.train import train
from fireact_ray.store import Folder


def pipeline(recipe: Recipe) -> list[Report]:
    """The whole run on one Ray session; returns the reports."""
    demand_mounted(recipe)
    with run_lease(Folder(recipe.run_dir), "fireact run"), ray_session(recipe.ray):
        generate(recipe)
        convert(recipe)
        train(recipe)
        return evaluate(recipe)


def demand_mounted(recipe: Recipe) -> None:
    """Raises InputError for an output_dir that `train` could not take, before `generate` has paid for anything."""
    if not Folder(recipe.run_dir).is_local:
        raise InputError(
            f"output_dir {recipe.output_dir}: `fireact train` needs a local or mounted folder, so a whole run cannot "
            "lie there. Set output_dir to a folder that every node mounts; `fireact generate` and `fireact convert` "
            "alone take a remote one."
        )
