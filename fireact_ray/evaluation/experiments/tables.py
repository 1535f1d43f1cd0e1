"""Tables by name: what an experiment's definition may ask for. A new one is a function and a line in `TABLES`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from fireact_ray.evaluation.experiments import choice, costs, gains, noise, scaling, systems
from fireact_ray.evaluation.experiments.paper import NOTE, Paper
from fireact_ray.evaluation.experiments.results import Group, Missing
from fireact_ray.evaluation.experiments.shown import Row, Section, Table, Value

TABLES: dict[str, Callable[[Sequence[Group], Paper], Section]] = {
    "systems": systems.systems,
    "kinds": lambda groups, _: systems.kinds(groups),
    "gains": gains.gains,
    "scaling": lambda groups, _: scaling.scaling(groups),
    "noise": noise.noise,
    "costs": costs.costs,
    "matrix": systems.matrix,
    "choice": choice.choice,
}


def sections_of(
    names: Sequence[str], groups: Sequence[Group], missing: Sequence[Missing], paper: Mapping[str, object]
) -> tuple[Section, ...]:
    """One for each name. What is missing stands in the first table of each, and why."""
    if not groups:
        return (Section((_with_missing(Table("No cell has a result yet", ("cell",), ()), missing),)),)
    made = (TABLES[name](groups, paper) for name in names)
    return tuple(_completed(section, missing) for section in made)


def _completed(section: Section, missing: Sequence[Missing]) -> Section:
    tables = [_with_missing(section.tables[0], missing), *section.tables[1:]]
    return replace(section, tables=tuple(map(_with_note, tables)))


def _with_missing(table: Table, missing: Sequence[Missing]) -> Table:
    unknown = tuple(Value(None) for _ in table.columns[1:])
    rows = (Row(f"{one.cell}: {one.reason}", unknown, "failed") for one in missing)
    return replace(table, rows=(*table.rows, *rows))


def _with_note(table: Table) -> Table:
    has_paper = any(row.origin == "paper" for row in table.rows)
    return replace(table, notes=(*table.notes, NOTE)) if has_paper else table
