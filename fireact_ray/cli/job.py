"""A run as the driver of a Ray job: python -m fireact_ray.cli.job --recipe NAME [--stages ...] [--set KEY=VALUE]

`fireact submit` starts it so, and jobs/ by hand. What it needs of the nodes is looked for before anything is paid for;
each stage skips what is done, so the same job submitted again goes on. Exit codes are those of the command line.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from fireact_ray.cli.main import run_guarded
from fireact_ray.core.errors import InputError
from fireact_ray.core.utils.itinerary import PIPELINE

ALL = ",".join(PIPELINE)


def stages_of(text: str) -> tuple[str, ...]:
    """In the order in which they run. Raises InputError for an unknown one."""
    asked = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in asked if name not in PIPELINE]
    if unknown or not asked:
        raise InputError(f"--stages {text}: expected some of {', '.join(PIPELINE)}, with commas between.")
    return tuple(name for name in PIPELINE if name in asked)


def main(arguments: Sequence[str]) -> None:
    """Some or all stages of a run."""
    parser = _parser("Generate, convert, train, evaluate, as a Ray job.")
    parser.add_argument("--stages", default=ALL, metavar="NAME,NAME", help=f"some of {ALL}")
    parser.add_argument("--doctor", action="store_true", help="look at the cluster's nodes instead")
    parser.add_argument("--storage", help="with --doctor: a folder that every node should see")
    given = parser.parse_args(arguments)

    def run() -> None:
        from fireact_ray.recipe.loader import load_recipe

        recipe = load_recipe(given.recipe, given.overrides)
        if given.doctor:
            from fireact_ray.stages.jobs.doctor import demand_fit, examine

            found = examine(recipe, given.storage)
            print(*found, sep="\n", flush=True)
            demand_fit(found)
            return
        from fireact_ray.stages.jobs.run import run_job

        print(run_job(recipe, stages_of(given.stages)))

    run_guarded(run)


def serve(arguments: Sequence[str]) -> None:
    """The agents over HTTP, until the job is stopped."""
    given = _parser("Serve the agents, as a Ray job.").parse_args(arguments)

    def run() -> None:
        from fireact_ray.recipe.loader import load_recipe
        from fireact_ray.stages.serve import serve as stage

        stage(load_recipe(given.recipe, given.overrides))

    run_guarded(run)


def _parser(what: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--recipe", required=True, help="a YAML file, or a shipped name such as demo")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides")
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])
