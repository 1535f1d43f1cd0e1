"""`fireact key`: who may ask a served agent."""

from __future__ import annotations

from typing import Annotated

import typer


def key(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose key it is; log and limits know it by this name.")],
    file: Annotated[str, typer.Option(metavar="FILE", help="The file that `serve.keys_file` names.")] = "keys",
) -> None:
    """Make a key for a served agent: it is shown once, the file keeps its hash."""
    from fireact_ray.serving.keys import add_key

    print(add_key(file, name))
