"""The command line: which commands there are. Each is a function in `commands/`.

Exit codes: 0 done, 1 failed, 2 bad recipe or input, 3 stopped by budget, 130 interrupted (rerun to go on).
"""

from __future__ import annotations

import typer

from fireact_ray.cli.commands import cluster, data, experiment, keys, looking, models, recipes, rows, score, stages
from fireact_ray.cli.commands.view import view
from fireact_ray.cli.main import run_guarded

app = typer.Typer(
    help="From a teacher model, tools and questions to a fine-tuned, evaluated, served agent, on a Ray cluster.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.command()(stages.demo)
app.add_typer(data.data, name="data")
app.command()(recipes.plan)
app.command()(stages.generate)
app.command()(stages.convert)
app.command()(stages.train)
app.command()(models.merge)
app.command()(stages.evaluate)
app.command()(stages.run)
app.command()(cluster.submit)
app.command()(stages.serve)
app.command()(keys.key)
app.command()(models.ask)
app.command()(looking.show)
app.command()(view)
app.command()(looking.status)
app.command()(looking.doctor)
app.command()(rows.lint)
app.command("import")(rows.import_)
app.command()(score.score)
app.command()(rows.export)
app.command()(recipes.check)
app.command()(experiment.experiment)


def main() -> None:
    """The `fireact` script."""
    run_guarded(app)
