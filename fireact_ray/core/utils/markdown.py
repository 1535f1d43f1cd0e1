"""Rows of cells in, a Markdown table out that also reads well as plain text."""

from collections.abc import Sequence

UNKNOWN = "-"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first column is left-aligned, the others right. A `|` within a cell is escaped."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (header, *rows)]
    widths = [max(3, *(len(cell) for cell in column)) for column in zip(*cells, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "".join(_line(row, widths) for row in (cells[0], rule, *cells[1:]))


def shown(value: object, spec: str = "") -> str:
    """A cell: the formatted value, or `-` for None, which means unknown."""
    return UNKNOWN if value is None else format(value, spec)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (
        cell.ljust(width) if i == 0 else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return "| " + " | ".join([first, *others]) + " |\n"
