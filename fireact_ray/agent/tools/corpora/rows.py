"""A JSON object of anybody's corpus -> its passages. What it is is told by its fields.

{"title": "Tarn", "text": "A lake."}                         plain; also BEIR's and KILT's names
{"id": "7", "contents": "\\"Tarn\\"\\nA lake."}                  FlashRAG, Search-R1, Pyserini
{"title": "Tarn", "text": ["A lake.", " Deep."], "text_with_links": [...]}     HotpotQA's dump of Wikipedia
{"question": ..., "context": [["Tarn", ["A lake.", " Deep."]], ...]}           question files (`questions.py`)
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping

from fireact_ray.agent.tools.corpora.passage import Found, LeftOut, passage
from fireact_ray.agent.tools.corpora.questions import CONTEXTS, context_passages

TITLES = ("title", "wikipedia_title")
TEXTS = ("text", "contents", "content", "passage", "paragraph_text", "text_with_links")
FIELDS = (*TITLES, *TEXTS, *CONTEXTS)  # all that is read of a row

_OF_THE_DUMP = ("text_with_links", "charoffset")
_LINK = re.compile(r"</?a(?:\s[^<>]*)?>", re.IGNORECASE)


def passages_of(row: object) -> Iterator[Found]:
    """Every passage of a row, or one reason why it has none."""
    if not isinstance(row, dict):
        yield LeftOut.NO_OBJECT
    elif _name_of(row, CONTEXTS):
        yield from context_passages(row)
    elif not row.keys().isdisjoint(_OF_THE_DUMP):
        yield from _article(row)
    else:
        yield _plain(row)


def title_and_text(contents: str) -> tuple[str, str]:
    """Of `"title"\\ntext`: the first line is the title, mostly in quotes, those within doubled. One line has none."""
    head, line_end, text = contents.partition("\n")
    return (unquoted(head.strip()), text) if line_end else ("", contents)


def unquoted(cell: str) -> str:
    """What a cell in quotes means: `"the ""deep"" lake"`. One whose inner quotes are not doubled was never quoted."""
    inner = cell[1:-1]
    if len(cell) < 2 or cell[0] != '"' or cell[-1] != '"' or '"' in inner.replace('""', ""):
        return cell
    return inner.replace('""', '"')


def _plain(row: Mapping[str, object]) -> Found:
    title, name = _first(row, TITLES), _name_of(row, TEXTS)
    if name is None:
        return LeftOut.NO_FIELD
    text = row[name]
    if name == "contents" and title is None and isinstance(text, str):
        return passage(*title_and_text(text))
    return passage(title, text)


def _article(row: Mapping[str, object]) -> Iterator[Found]:
    """An article of HotpotQA's dump: its abstract as a list of sentences; of whole articles, a list for each paragraph.

    Titles and texts are escaped as in HTML, and may hold links.
    """
    title, text = _readable(_first(row, TITLES)), _first(row, TEXTS)
    if isinstance(text, list) and text and all(isinstance(part, list) for part in text):
        for paragraph in text:
            sentences = [_readable(sentence) for sentence in paragraph]
            if sentences and sentences != [title]:  # the first one is the title
                yield passage(title, sentences)
    else:
        yield passage(title, [_readable(sentence) for sentence in text] if isinstance(text, list) else _readable(text))


def _readable(value: object) -> object:
    return html.unescape(_LINK.sub("", value)) if isinstance(value, str) else value


def _first(row: Mapping[str, object], names: tuple[str, ...]) -> object:
    name = _name_of(row, names)
    return None if name is None else row[name]


def _name_of(row: Mapping[str, object], names: tuple[str, ...]) -> str | None:
    for name in names:
        if row.get(name) is not None:
            return name
    return None
