"""`fireact view`: trajectories as a page that a browser opens from the disk."""

from __future__ import annotations

from typing import Annotated

import typer

from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.source import kind_of
from fireact_ray.evaluation.viewer.choosing import LIMIT


def view(
    path: Annotated[str, typer.Argument(metavar="RUN", help="A run folder, or any file that `fireact import` reads.")],
    other: Annotated[
        str | None, typer.Argument(metavar="[RUN2]", help="Another one, side by side on the same questions.")
    ] = None,
    out: Annotated[
        str | None, typer.Option(metavar="DIR", help="Where the page goes; default: RUN/view, or FILE.view.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many rows the page holds at most.")] = LIMIT,
    tokens: Annotated[bool, typer.Option("--tokens", help="Show each training row, trained tokens marked.")] = False,
    recipe: Annotated[str | None, typer.Option(help="Whose student --tokens is for; default: the run's.")] = None,
) -> None:
    """Trajectories as one HTML page without a server: filter, search, read, and two systems side by side."""
    from fireact_ray.cli.show import student_of
    from fireact_ray.evaluation.viewer.assemble import page_of
    from fireact_ray.evaluation.viewer.html import to_html

    paths = [path] if other is None else [path, other]
    page = page_of(paths, limit, (lambda run: student_of(run, recipe)) if tokens else lambda run: None)
    beside = Folder(path) / "view" if kind_of(path) == "folder" else Folder(f"{path}.view")
    folder = Folder(out) if out else beside
    name = "index.html" if other is None else "compared.html"
    folder.write(name, to_html(page))
    for line in page.summary:
        print(line)
    print(f"{folder.uri}/{name}")
