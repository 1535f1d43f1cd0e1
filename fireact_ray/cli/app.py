"""The command line: parse, call a stage, print where the output went.

Exit codes: 0 done, 1 failed, 2 bad recipe or input, 3 stopped by budget, 130 interrupted (rerun to go on).
"""

from __future__ import annotations

import asyncio
import json
import logging
import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fireact_ray.cli.commands.score import score
from fireact_ray.cli.main import run_guarded
from fireact_ray.core.utils.itinerary import demo_itinerary, demo_plan
from fireact_ray.recipe.loader import load_recipe, to_yaml
from fireact_ray.recipe.schema import HostedStudentConfig, Recipe

logger = logging.getLogger("fireact_ray.cli.app")  # also as `python -m fireact_ray.cli`

app = typer.Typer(
    help="From a teacher model, tools and questions to a fine-tuned, evaluated, served agent, on a Ray cluster.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

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


@app.command()
def demo(overrides: SetOption = None) -> None:
    """The whole job on the bundled almanac with a nano Llama: no key, no GPU."""
    recipe = load_recipe("demo", overrides or [])
    logger.info(demo_plan())
    itinerary = demo_itinerary()
    from fireact_ray.stages.demo import demo as run_demo

    run_demo(recipe, itinerary)


@app.command()
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
    """What generating will take (calls, tokens, $, hours), from a measured pilot, before it is paid for; and what
    memory training will take."""
    from fireact_ray.rollouts.forecast.text import forecast_text
    from fireact_ray.stages.forecast import forecast_costs
    from fireact_ray.stages.plan_training import training_section

    loaded = _load(recipe, overrides, max_cost_usd)
    about_training = training_section(loaded, gpu)  # before the pilot is paid for
    forecast = forecast_costs(loaded, pilot)
    print(forecast_text(forecast.estimate, forecast.fits, may_shrink=forecast.may_shrink))
    print(f"\n{about_training}")
    settings = [f"--set={override}" for override in overrides or []]
    settings += [] if max_cost_usd is None else [f"--max-cost-usd={max_cost_usd:g}"]
    if forecast.estimate.n_pending:
        print("\ngo on with:")
        print(f"  {shlex.join(['fireact', 'generate', recipe, *settings])}")
        print(f"  {shlex.join(['fireact', 'status', forecast.run_dir, '--watch'])}")
    _done(forecast.run_dir)


@app.command()
def generate(
    recipe: RecipeArgument,
    max_cost_usd: MaxCostOption = None,
    retry_failed: RetryFailedOption = False,
    overrides: SetOption = None,
) -> None:
    """Let the teacher write trajectories."""
    from fireact_ray.stages.generate import generate as stage

    unbound = ["generate.max_retries=null"] if retry_failed else []
    _done(stage(_load(recipe, [*(overrides or []), *unbound], max_cost_usd)).uri)


@app.command()
def convert(recipe: RecipeArgument, overrides: SetOption = None) -> None:
    """Turn correct trajectories into token ids and loss masks."""
    from fireact_ray.stages.convert import convert as stage

    _done(stage(_load(recipe, overrides)).uri)


@app.command()
def train(
    recipe: RecipeArgument,
    cancel: Annotated[
        bool, typer.Option("--cancel", help="Cancel the job of a hosted student, instead of following it.")
    ] = False,
    overrides: SetOption = None,
) -> None:
    """Fine-tune the student."""
    loaded = _load(recipe, overrides)
    if cancel:
        from fireact_ray.stages.train_hosted import cancel_hosted

        print(cancel_hosted(loaded))
        return
    from fireact_ray.stages.train_student import train_student

    _done(train_student(loaded).uri)


@app.command()
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
    _done(out)


@app.command()
def evaluate(recipe: RecipeArgument, retry_failed: RetryFailedOption = False, overrides: SetOption = None) -> None:
    """Measure base and fine-tuned agents on held-out questions."""
    from fireact_ray.evaluation.tables import comparison_markdown
    from fireact_ray.stages.evaluate import evaluate as stage

    unbound = ["evaluate.max_retries=null"] if retry_failed else []
    resolved = _load(recipe, [*(overrides or []), *unbound])
    print(comparison_markdown(stage(resolved)))
    _done(f"{resolved.run_dir}/evaluations")


@app.command()
def run(recipe: RecipeArgument, max_cost_usd: MaxCostOption = None, overrides: SetOption = None) -> None:
    """Generate, convert, train, evaluate."""
    from fireact_ray.evaluation.tables import comparison_markdown
    from fireact_ray.stages.pipeline import pipeline

    resolved = _load(recipe, overrides, max_cost_usd)
    print(comparison_markdown(pipeline(resolved)))
    _done(resolved.run_dir)


@app.command()
def serve(recipe: RecipeArgument, overrides: SetOption = None) -> None:
    """Serve the fine-tuned agent over HTTP until Ctrl-C."""
    from fireact_ray.stages.serve import serve as stage

    stage(_load(recipe, overrides))


@app.command()
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
        async for event in ask_agent(_load(recipe, overrides), question, system):
            print_event(event, Console())
            is_answered = isinstance(event, Trajectory) and event.answer is not None
        return is_answered

    if not asyncio.run(stream()):
        raise typer.Exit(1)


@app.command()
def show(
    path: Annotated[str, typer.Argument(help="A run folder, or any file that `fireact import` reads.")],
    row: Annotated[int | None, typer.Option(min=1, help="Which row, by the numbers of `fireact lint`.")] = None,
    where: Annotated[
        str | None, typer.Option(help="From there on the first that is correct, wrong, of a method or stop reason.")
    ] = None,
    tokens: Annotated[bool, typer.Option("--tokens", help="Show the training row, trained tokens marked.")] = False,
    recipe: Annotated[str | None, typer.Option(help="Whose student --tokens is for; default: the run's.")] = None,
) -> None:
    """A trajectory, step by step, or its training row."""
    from fireact_ray.cli.show import show as show_row

    show_row(path, Console(), row=row, where=where, recipe=recipe, tokens=tokens)


@app.command()
def status(
    path: Annotated[Path, typer.Argument(help="A run folder.")],
    watch: Annotated[bool, typer.Option("--watch", help="Look again every 2 s until the run ends.")] = False,
) -> None:
    """What a run has planned, finished, stopped, failed and spent, while it goes on and afterwards."""
    from fireact_ray.cli.status import show_status, watch_status
    from fireact_ray.core.storage.folder import Folder

    (watch_status if watch else show_status)(Folder(str(path)), Console())


@app.command()
def doctor(path: Annotated[Path, typer.Argument(help="A run folder.")]) -> None:
    """Prove that a run adds up: planned = written + skipped + pending, no key twice, no broken file, one renderer."""
    from fireact_ray.cli.status import audit_text
    from fireact_ray.core.errors import DataError
    from fireact_ray.core.storage.folder import Folder
    from fireact_ray.rollouts.audit import audit

    found = audit(Folder(str(path)))
    print(audit_text(found))
    if found.problems:
        raise DataError("\n".join(found.problems))
    stopped, failed = sum(found.stopped.values()), sum(found.failed.values())
    print(
        f"all adds up: {found.planned} planned + {found.unplanned} others = {found.done} finished + {stopped} stopped "
        f"+ {failed} failed + {found.skipped} skipped + {found.pending} pending"
    )


@app.command()
def lint(
    path: Annotated[str, typer.Argument(help="A run folder, a Parquet file, or JSON: Alpaca, OpenAI chat, ShareGPT.")],
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all row numbers there.")] = None,
    fail_on: Annotated[str, typer.Option(metavar="CODE[,CODE]", help="Exit with 1 where these find a row.")] = "",
    against: Annotated[str | None, typer.Option(help="Evaluation questions, or trajectories that hold them.")] = None,
    recipe: Annotated[str | None, typer.Option(help="Take the evaluation questions of this recipe.")] = None,
    tokenizer: Annotated[str | None, typer.Option(help="Count tokens by this model's tokenizer.")] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="A longer row is too long.")] = 2048,
    near: Annotated[float, typer.Option(min=0, max=1, help="Similarity of near duplicates.")] = 0.8,
) -> None:
    """Find what is wrong with training data, anybody's: wrong answers, leaks, duplicates ... (docs/data.md)."""
    from fireact_ray.cli.lint import check_codes, demand_none, lint_path, print_report

    codes = [code.strip() for code in fail_on.split(",") if code.strip()]
    check_codes(codes, with_questions=bool(against or recipe))
    report = lint_path(
        path, against=against, recipe=recipe, tokenizer=tokenizer, max_tokens=max_tokens, near_duplicate=near
    )
    print_report(report, Console(), estimated=tokenizer is None)
    if json_file:
        json_file.write_text(json.dumps(report.to_dict()) + "\n")
        _done(str(json_file))
    demand_none(report, codes)


@app.command("import")
def import_(
    recipe: RecipeArgument,
    path: Annotated[
        str, typer.Argument(help="A file, folder or URL: Alpaca, OpenAI chat (with tools, too), ShareGPT, our Parquet.")
    ],
    overrides: SetOption = None,
) -> None:
    """Bring foreign trajectories into the recipe's run folder."""
    from fireact_ray.stages.import_file import import_file

    _done(import_file(_load(recipe, overrides), path).uri)


@app.command()
def export(
    path: Annotated[str, typer.Argument(help="A run folder in which `fireact convert` has run.")],
    format_name: Annotated[str, typer.Option("--format", help="alpaca, chat, tools, sharegpt or parquet.")],
    out: Annotated[str, typer.Option(help="The folder for the file and its card.")],
) -> None:
    """Write the rows that convert selected for other trainers, with a dataset card (docs/data.md)."""
    from fireact_ray.stages.export_file import export as export_rows

    exported = export_rows(path, format_name, out)
    print(f"{exported.n_rows} rows, those of {exported.n_trajectories} trajectories that convert selected")
    _done(exported.file)


@app.command()
def check(recipe: RecipeArgument, overrides: SetOption = None) -> None:
    """Resolve and validate a recipe, all problems at once, and print it whole."""
    loaded = _load(recipe, overrides)
    if isinstance(loaded.student, HostedStudentConfig):
        from fireact_ray.stages.train_hosted import hosted_section

        logger.info(hosted_section(loaded))
    print(to_yaml(loaded), end="")


app.command()(score)


def main() -> None:
    """The `fireact` script."""
    run_guarded(app)


def _load(recipe: str, overrides: list[str] | None, max_cost_usd: float | None = None) -> Recipe:
    cap = [] if max_cost_usd is None else [f"generate.budget.max_cost_usd={max_cost_usd}"]
    return load_recipe(recipe, [*(overrides or []), *cap])


def _done(where: str) -> None:
    print(where)
