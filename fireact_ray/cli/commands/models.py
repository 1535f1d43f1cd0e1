"""A trained model: asked one question, or merged into whole weights."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from rich.console import Console

from fireact_ray.cli.options import RecipeArgument, SetOption, done, load


def ask(
    recipe: RecipeArgument,
    question: Annotated[str, typer.Argument(help="The question.")],
    system: Annotated[str, typer.Option(help="finetuned, base or teacher.")] = "finetuned",
    overrides: SetOption = None,
) -> None:
    """One question through an agent in this process, step by step. Without an answer it exits with 1."""
    from fireact_ray.cli.show import print_event
    from fireact_ray.core.types import Trajectory
    from fireact_ray.recipe.ask import ask as ask_agent

    async def stream() -> bool:
        is_answered = False
        async for event in ask_agent(load(recipe, overrides), question, system):
            print_event(event, Console())
            is_answered = isinstance(event, Trajectory) and event.answer is not None
        return is_answered

    if not asyncio.run(stream()):
        raise typer.Exit(1)


def merge(
    path: Annotated[str, typer.Argument(metavar="RUN|MODEL", help="A run folder, or the folder of a trained adapter.")],
    out: Annotated[str, typer.Option(help="A new folder for the whole weights.")],
    dtype: Annotated[str | None, typer.Option(help="fp32, fp16 or bf16; default: as the base is stored.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Compare greedy replies of both; exit with 1 where a merge is wrong.")
    ] = False,
    prompts: Annotated[int, typer.Option(min=1, metavar="N", help="How many --check compares.")] = 8,
) -> None:
    """Fold a LoRA or QLoRA adapter into its base: whole weights that transformers, vLLM and `serve` load."""
    from fireact_ray.cli.merge import merge as merge_path

    merge_path(path, out, dtype=dtype, n_checked=prompts if check else 0)
    done(out)
