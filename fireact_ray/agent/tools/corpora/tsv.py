"""Lines of tab-separated cells -> passages, such as DPR's psgs_w100.tsv:

    id	text	title
    1	"Aaron ( or ; ""Ahärôn"") is a prophet."	Aaron

Cells may be quoted as CSV quotes them, and then go over several lines; or hold quotes as they are. Without a header,
the cells are DPR's, or those of MS MARCO (id, text): both begin with a number.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from fireact_ray.agent.tools.corpora.passage import Found, LeftOut, passage
from fireact_ray.agent.tools.corpora.rows import TEXTS, TITLES, unquoted

_MAX_LINES = 200  # of one row: a quote that is never closed takes no more with it
_UNNAMED = {2: ("id", "text"), 3: ("id", "text", "title")}


def columns_of(line: str) -> tuple[str, ...] | None:
    """The columns of a table that begins with this line, whether it names them; None where it is no such table."""
    cells = _cells(line)
    names = tuple(cell.strip().casefold() for cell in cells)
    if len(cells) > 1 and any(name in TEXTS for name in names):
        return names
    return _UNNAMED.get(len(cells)) if cells[0].strip().isdecimal() else None


def names_its_columns(line: str) -> bool:
    return any(cell.strip().casefold() in TEXTS for cell in _cells(line))


def table_passages(lines: Iterator[str | LeftOut], columns: tuple[str, ...]) -> Iterator[Found]:
    """`lines`: those behind the header; a reason in the place of one that is no text."""
    text_at = next(columns.index(name) for name in TEXTS if name in columns)
    title_at = next((columns.index(name) for name in TITLES if name in columns), None)
    for row in _rows(lines, len(columns)):
        if isinstance(row, LeftOut):
            yield row
        else:
            yield passage("" if title_at is None else row[title_at], row[text_at])


def _rows(lines: Iterator[str | LeftOut], width: int) -> Iterator[list[str] | LeftOut]:
    unread: deque[str | LeftOut] = deque()  # lines that were read ahead in vain

    def next_line() -> str | LeftOut | None:
        return unread.popleft() if unread else next(lines, None)

    while (line := next_line()) is not None:
        if isinstance(line, LeftOut):
            yield line
        elif line.strip():
            row, ahead = line, list[str | LeftOut]()
            while _is_open(row, width) and len(ahead) < _MAX_LINES and (following := next_line()) is not None:
                ahead.append(following)
                if isinstance(following, LeftOut):
                    break
                row += "\n" + following
            if len(_cells(row)) != width or _is_open(row, width):  # that quote was no cell's
                row = line
                unread.extendleft(reversed(ahead))
            cells = _cells(row)
            yield cells if len(cells) == width else LeftOut.CELLS


def _is_open(row: str, width: int) -> bool:
    """Whether a quoted cell goes on: the last one begins with a quote that is not closed, and no cell is too many."""
    last = row.rsplit("\t", 1)[-1]
    cells = row.count("\t") + 1
    return last.startswith('"') and last.count('"') % 2 == 1 and cells <= width


def _cells(line: str) -> list[str]:
    return [unquoted(cell) for cell in line.rstrip("\r\n").split("\t")]
