"""The commands that run stages of a recipe: each resumes when it is given again."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from fireact_ray.cli.options import MaxCostOption, RecipeArgument, RetryFailedOption, SetOption, done, load
from fireact_ray.core.utils.itinerary import demo_itinerary, demo_plan
from fireact_ray.recipe.loader import load_recipe

logger = logging.getLogger(__name__)


def demo(overrides: SetOption = None) -> None:
    """The whole job on the bundled almanac with a nano Llama: no key, no GPU."""
    recipe = load_recipe("demo", overrides or [])
    logger.info(demo_plan())
    itinerary = demo_itinerary()
    from fireact_ray.stages.demo import demo as run_demo

    run_demo(recipe, itinerary)


def generate(
    recipe: RecipeArgument,
    max_cost_usd: MaxCostOption = None,
    retry_failed: RetryFailedOption = False,
    overrides: SetOption = None,
) -> None:
    """Let the teacher write trajectories."""
    from fireact_ray.stages.generate import generate as stage

    unbound = ["generate.max_retries=null"] if retry_failed else []
    done(stage(load(recipe, [*(overrides or []), *unbound], max_cost_usd)).uri)


def convert(recipe: RecipeArgument, overrides: SetOption = None) -> None:
    """Turn correct trajectories into token ids and loss masks."""
    from fireact_ray.stages.convert import convert as stage

    done(stage(load(recipe, overrides)).uri)


def train(
    recipe: RecipeArgument,
    cancel: Annotated[
        bool, typer.Option("--cancel", help="Cancel the job of a hosted student, instead of following it.")
    ] = False,
    overrides: SetOption = None,
) -> None:
    """Fine-tune the student."""
    loaded = load(recipe, overrides)
    if cancel:
        from fireact_ray.stages.train_hosted import cancel_hosted

        print(cancel_hosted(loaded))
        return
    from fireact_ray.stages.train_student import train_student

    done(train_student(loaded).uri)


def evaluate(recipe: RecipeArgument, retry_failed: RetryFailedOption = False, overrides: SetOption = None) -> None:
    """Measure base, fine-tuned and other agents on held-out questions."""
    from fireact_ray.core.storage.folder import Folder
    from fireact_ray.evaluation.tables import comparison_markdown
    from fireact_ray.recipe.trials import trials_of
    from fireact_ray.stages.evaluate import evaluate as stage

    unbound = ["evaluate.max_retries=null"] if retry_failed else []
    resolved = load(recipe, [*(overrides or []), *unbound])
    print(comparison_markdown(stage(resolved)))
    evaluations = Folder(resolved.run_dir) / "evaluations"
    if any(trial.condition for trial in trials_of(resolved)):
        print(evaluations.read("robustness.md").decode())
    done(evaluations.uri)


def run(recipe: RecipeArgument, max_cost_usd: MaxCostOption = None, overrides: SetOption = None) -> None:
    """Generate, convert, train, evaluate."""
    from fireact_ray.evaluation.tables import comparison_markdown
    from fireact_ray.stages.pipeline import pipeline

    resolved = load(recipe, overrides, max_cost_usd)
    print(comparison_markdown(pipeline(resolved)))
    done(resolved.run_dir)


def serve(
    recipe: RecipeArgument,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print a file for `serve deploy` and KubeRay's RayService.")
    ] = False,
    check_config: Annotated[
        bool, typer.Option("--check-config", help="Check such a file, given in the recipe's place, key by key.")
    ] = False,
    overrides: SetOption = None,
) -> None:
    """Serve the agents over HTTP until Ctrl-C."""
    if check_config:
        from fireact_ray.stages.serve_config import check_serve_config

        print(check_serve_config(Path(recipe)))
        return
    resolved = load(recipe, overrides)
    if print_config:
        from fireact_ray.stages.serve_config import to_serve_yaml

        print(to_serve_yaml(resolved, recipe, overrides or ()), end="")
        return
    from fireact_ray.stages.serve import serve as stage

    stage(resolved)
