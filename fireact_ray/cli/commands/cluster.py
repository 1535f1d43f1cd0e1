"""`fireact submit`: a run to a cluster, as a job."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated

import typer

from fireact_ray.cli.job import ALL, stages_of
from fireact_ray.cli.options import MaxCostOption, RecipeArgument, SetOption, done, load
from fireact_ray.core.errors import InputError
from fireact_ray.recipe.loader import given_output_dir

ClusterOption = Annotated[
    str, typer.Option("--cluster", metavar="URL", help="The dashboard's address, such as http://127.0.0.1:8265.")
]


def submit(
    recipe: RecipeArgument,
    cluster: ClusterOption,
    stages: Annotated[str, typer.Option(metavar="NAME,NAME", help="Only some of them.")] = ALL,
    follow: Annotated[
        bool, typer.Option("--follow", help="Show the job's log to its end, and exit as it does.")
    ] = False,
    max_cost_usd: MaxCostOption = None,
    overrides: SetOption = None,
) -> None:
    """Run a recipe on a cluster, as a job; the same command again goes on with it (docs/jobs.md)."""
    asked = stages_of(stages)
    _demand_a_place(given_output_dir(recipe, overrides or []))
    loaded = load(recipe, overrides, max_cost_usd)
    from fireact_ray.stages.jobs.submit import submit as begin
    from fireact_ray.stages.jobs.submit import watch

    submitted = begin(loaded, asked, cluster, shlex.join(["fireact", *sys.argv[1:]]))
    print(submitted, flush=True)
    try:
        code = watch(submitted, lambda text: print(text, end="", flush=True), to_the_end=follow)
    except KeyboardInterrupt:
        print(f"The job goes on. Stop it: {submitted.command('stop')}", flush=True)
        raise
    if code:
        raise typer.Exit(code)
    done(loaded.run_dir)


def _demand_a_place(output_dir: str | None) -> None:
    """A folder below this one is no folder of the cluster."""
    if output_dir is None or not (output_dir.startswith("/") or "://" in output_dir):
        raise InputError(
            f"output_dir {output_dir or 'runs'}: this lies in the folder where the command is given, and the cluster's "
            "nodes have others. Name storage that every node sees: --set output_dir=/shared/runs"
        )
