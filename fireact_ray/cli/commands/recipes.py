"""What a recipe says, and what it will take, before anything is paid for."""

from __future__ import annotations

import logging
import shlex
from typing import Annotated

import typer

from fireact_ray.cli.options import MaxCostOption, RecipeArgument, SetOption, done, load
from fireact_ray.recipe.loader import to_yaml
from fireact_ray.recipe.students import HostedStudentConfig

logger = logging.getLogger(__name__)


def check(recipe: RecipeArgument, overrides: SetOption = None) -> None:
    """Resolve and validate a recipe, all problems at once, and print it whole."""
    from fireact_ray.recipe.missing import missing_data

    loaded = load(recipe, overrides)
    for sentence in missing_data(loaded):
        logger.warning(sentence)
    if isinstance(loaded.student, HostedStudentConfig):
        from fireact_ray.stages.train_hosted import hosted_section

        logger.info(hosted_section(loaded))
    print(to_yaml(loaded), end="")


def plan(
    recipe: RecipeArgument,
    pilot: Annotated[
        int, typer.Option(min=0, metavar="N", help="Ask N questions for it, the first rows of the run; 0 asks none.")
    ] = 20,
    gpu: Annotated[
        str | None, typer.Option(metavar="NAME", help="Refuse a training that does not fit on it, such as H100.")
    ] = None,
    max_cost_usd: MaxCostOption = None,
    overrides: SetOption = None,
) -> None:
    """What generating will take (calls, tokens, $, hours), from a measured pilot, before it is paid for; what memory
    training will take; and how long evaluating will, by rows that are recorded."""
    from fireact_ray.rollouts.forecast.text import forecast_text
    from fireact_ray.stages.forecast import forecast_costs
    from fireact_ray.stages.plan_evaluation import evaluation_section
    from fireact_ray.stages.plan_training import training_section

    loaded = load(recipe, overrides, max_cost_usd)
    about_training = training_section(loaded, gpu)  # before the pilot is paid for
    forecast = forecast_costs(loaded, pilot)
    print(forecast_text(forecast.estimate, forecast.fits, may_shrink=forecast.may_shrink))
    print(f"\n{about_training}\n\n{evaluation_section(loaded)}")
    settings = [f"--set={override}" for override in overrides or []]
    settings += [] if max_cost_usd is None else [f"--max-cost-usd={max_cost_usd:g}"]
    if forecast.estimate.n_pending:
        print("\ngo on with:")
        print(f"  {shlex.join(['fireact', 'generate', recipe, *settings])}")
        print(f"  {shlex.join(['fireact', 'status', forecast.run_dir, '--watch'])}")
    done(forecast.run_dir)
