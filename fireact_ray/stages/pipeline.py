"""Generate, convert, train, evaluate: each stage reads what the one before wrote, and skips what is done."""

from fireact_ray.evaluation.report import Report
from fireact_ray.lease import leased
from fireact_ray.recipe import Recipe
from fireact_ray.stages.convert import convert
from fireact_ray.stages.evaluate import evaluate
from fireact_ray.stages.generate import generate
from fireact_ray.stages.runtime import ray_session
from fireact_ray.stages.train import train


@leased("fireact run")
def pipeline(recipe: Recipe) -> list[Report]:
    """The whole run on one Ray session; returns the reports."""
    with ray_session(recipe.ray):
        generate(recipe)
        convert(recipe)
        train(recipe)
        return evaluate(recipe)
