"""`fireact experiment`."""

from __future__ import annotations

from typing import Annotated

import typer

from fireact_ray.cli.options import MaxCostOption, SetOption, done, load


def experiment(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A YAML file, or a shipped name such as 'data-scaling'.")],
    recipe: Annotated[
        list[str], typer.Option("--recipe", metavar="RECIPE", help="What to run it with; several are compared.")
    ],
    plan: Annotated[bool, typer.Option("--plan", help="Say its cells, calls, $ and hours, and do nothing.")] = False,
    gpu: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --plan: hours of trainings on it, such as H100.")
    ] = None,
    max_cost_usd: MaxCostOption = None,
    overrides: SetOption = None,
) -> None:
    """Run a grid of recipes, and show its tables and figures: experiment.key=value sets the grid's own values."""
    from fireact_ray.core.errors import CellsFailed
    from fireact_ray.evaluation.experiments.writing import answers_markdown
    from fireact_ray.recipe.experiments.loading import split_overrides
    from fireact_ray.stages.experiment import demand_known, open_experiment
    from fireact_ray.stages.experiment import experiment as stage

    of_recipes, of_experiment = split_overrides(overrides or [])
    recipes = [load(each, of_recipes, max_cost_usd) for each in recipe]
    demand_known(recipes)
    opened = open_experiment(name, recipes, of_experiment)
    if plan:
        from fireact_ray.stages.experiment_plan import plan_text

        print(plan_text(opened, gpu))
        return
    outcome = stage(recipes, opened)
    print(answers_markdown(outcome.name, outcome.answers))
    done(outcome.folder.uri)
    if outcome.failed:
        raise CellsFailed.of({one.cell: one.reason for one in outcome.failed})
