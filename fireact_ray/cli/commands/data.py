"""`fireact data`: the questions of a task and the corpus to search, brought to where the recipes look."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from fireact_ray.core.errors import InputError
from fireact_ray.core.utils.text import bytes_text
from fireact_ray.tasks.fetching.sources import Source, source, sources

data = typer.Typer(help="Get questions, and make a corpus to search (docs/data.md).", invoke_without_command=True)

ToOption = Annotated[Path | None, typer.Option("--to", help="Another folder than where the shipped recipes look.")]
FromOption = Annotated[
    list[str] | None,
    typer.Option(
        "--from",
        metavar="[SPLIT=]PATH|URL",
        help="A file or folder that you have, or another URL: taken as it is. dev=FILE: your own questions of a split.",
    ),
]


@data.callback()
def listing(
    context: typer.Context,
    list_: Annotated[bool, typer.Option("--list", help="What there is to get, what is here, what is missing.")] = False,
) -> None:
    """Get questions, and make a corpus to search."""
    if context.invoked_subcommand is None and not list_:
        print(context.get_help())
    elif list_:
        from fireact_ray.tasks.fetching.listing import listed

        table = Table("fireact data", "here", "licence", title_justify="left")
        table.add_column("size", justify="right")
        table.add_column("file", overflow="fold")
        for one in listed():
            here = f"{bytes_text(one.n_here)} of it" if one.state == "partly" else one.state
            table.add_row(one.source.name, here, one.source.licence, bytes_text(one.n_bytes), str(one.path))
        Console().print(table)


@data.command()
def corpus(
    given: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Files, folders or archives of passages; or hotpotqa, abstracts, wiki18, psgs_w100.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The JSONL file to write.")],
) -> None:
    """One corpus for search.backend.corpus, of question files, Wikipedia dumps, JSONL, TSV or Parquet."""
    from fireact_ray.agent.tools.corpora.making import counts_text, make_corpus

    made = make_corpus([place for name in given for place in _places(name, out)], out)
    for counts in made.sources:
        print(counts_text(counts))
    there = ", made of these before" if made.was_there else ""
    print(f"{made.n_passages:,} passages{there}; search them by search.backend.corpus: {out}")


def _places(name: str, out: Path) -> list[str]:
    """A source by its name is fetched first, where no questions of one's own stand in for it.

    A path of that name is written ./NAME. Raises InputError where it would be fetched for nothing.
    """
    if name not in sources():
        return [name]
    from fireact_ray.tasks.fetching.fetching import is_there, own_questions

    found = source(name)
    folder = Path(found.folder)
    if own := own_questions(found, folder):
        return [str(file) for file in own]
    if out.exists() and not all(is_there(file, folder) for file in found.files):
        raise InputError(f"{out} is there, and {name} is not here. Name another --out, or remove that file.")
    _get(found, None, [])
    return [str(folder / file.name) for file in found.files]


def _get(found: Source, to: Path | None, froms: list[str]) -> Path:
    from fireact_ray.tasks.fetching.fetching import fetch

    folder = to or Path(found.folder)
    for arrived in fetch(found, folder, froms):
        first = arrived.files[0]
        what = str(first) if len(arrived.files) == 1 else f"{len(arrived.files)} files such as {first}"
        about = arrived.proof or ("there, and left as it is" if arrived.was_there else "your own, taken as it is")
        print(f"{what}: {'there, ' if arrived.was_there and arrived.proof else ''}{about}")
    return folder


def _getting(name: str) -> Callable[..., None]:
    def get(to: ToOption = None, froms: FromOption = None) -> None:
        from fireact_ray.tasks.fetching.arrival import splits_of

        found = source(name)
        folder = _get(found, to, froms or [])
        own = [one.partition("=")[0] for one in froms or [] if one.partition("=")[0] in found.splits]
        for split in splits_of(found, folder, own or found.splits):
            shared = "".join(f"; {count:,} of them are also in {other}" for other, count in split.shared.items())
            print(f"{split.name}: {split.n_questions:,} questions{shared}")
        if not found.task:
            print(f"next: {shlex.join(['fireact', 'data', 'corpus', str(folder / found.files[0].name)])} --out FILE")

    get.__doc__ = _about(source(name))
    return get


def _about(found: Source) -> str:
    sizes = [file.bytes for file in found.files]
    size = bytes_text(None if None in sizes else sum(size or 0 for size in sizes))
    what = f"Questions ({', '.join(found.splits)})" if found.task else "A dump of passages for `data corpus`"
    return f"{what} from {found.home}: size {size}, {found.licence}."


for _name in sources():
    data.command(_name)(_getting(_name))
