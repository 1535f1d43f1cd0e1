"""What a run folder holds, and whether it adds up."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from fireact_ray.cli.options import SetOption, load


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


def status(
    path: Annotated[str, typer.Argument(help="A run folder.")],
    watch: Annotated[bool, typer.Option("--watch", help="Look again every 2 s until the run ends.")] = False,
) -> None:
    """What a run has planned, finished, stopped, failed and spent, while it goes on and afterwards."""
    from fireact_ray.cli.status import show_status, watch_status
    from fireact_ray.core.storage.folder import Folder

    (watch_status if watch else show_status)(Folder(path), Console())


def doctor(
    path: Annotated[str | None, typer.Argument(help="A run folder.")] = None,
    cluster: Annotated[
        str | None, typer.Option("--cluster", metavar="URL", help="Look at a cluster: its dashboard's address.")
    ] = None,
    storage: Annotated[str | None, typer.Option(metavar="DIR", help="A folder that all its nodes should see.")] = None,
    recipe: Annotated[str, typer.Option(help="Whose keys its nodes should have.")] = "demo",
    overrides: SetOption = None,
) -> None:
    """Prove that a run adds up: planned = written + skipped + pending, no key twice, no broken file, one renderer. With
    --cluster: that its nodes are fit for a run (versions, GPUs, token, clock, ports, storage, keys, collective)."""
    from fireact_ray.core.errors import InputError

    if (path is None) == (cluster is None):
        raise InputError("fireact doctor takes a run folder, or --cluster with the dashboard's address of a cluster.")
    if cluster is not None:
        from fireact_ray.stages.jobs.submit import examine_from_outside

        def write(text: str) -> None:
            print(text, end="", flush=True)

        if code := examine_from_outside(load(recipe, overrides), storage, cluster, write):
            raise typer.Exit(code)
    if path is not None:
        _audit(path)


def _audit(path: str) -> None:
    from fireact_ray.cli.status import audit_text
    from fireact_ray.core.errors import DataError
    from fireact_ray.core.storage.folder import Folder
    from fireact_ray.rollouts.audit import audit

    found = audit(Folder(path))
    print(audit_text(found))
    if found.problems:
        raise DataError("\n".join(found.problems))
    stopped, failed = sum(found.stopped.values()), sum(found.failed.values())
    print(
        f"all adds up: {found.planned} planned + {found.unplanned} others = {found.done} finished + {stopped} stopped "
        f"+ {failed} failed + {found.skipped} skipped + {found.pending} pending"
    )
