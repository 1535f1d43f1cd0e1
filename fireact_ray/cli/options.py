"""What commands share: the recipe and its overrides, and the last line that they print."""

from __future__ import annotations

from typing import Annotated

import typer

from fireact_ray.recipe.loader import load_recipe
from fireact_ray.recipe.schema import Recipe

RecipeArgument = Annotated[str, typer.Argument(metavar="RECIPE", help="A YAML file, or a shipped name such as 'demo'.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override, e.g. train.epochs=5.")
]
MaxCostOption = Annotated[
    float | None,
    typer.Option(
        "--max-cost-usd",
        metavar="USD",
        help="Stop the teacher there: short for --set generate.budget.max_cost_usd=USD.",
    ),
]
RetryFailedOption = Annotated[
    bool, typer.Option("--retry-failed", help="Retry failed rows whose retries are used up as well.")
]


def load(recipe: str, overrides: list[str] | None, max_cost_usd: float | None = None) -> Recipe:
    cap = [] if max_cost_usd is None else [f"generate.budget.max_cost_usd={max_cost_usd}"]
    return load_recipe(recipe, [*(overrides or []), *cap])


def done(where: str) -> None:
    """Print the path of what a command wrote, as its last line."""
    print(where)
