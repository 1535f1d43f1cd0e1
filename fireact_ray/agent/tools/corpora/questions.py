"""The paragraphs that stand beside the questions of a multi-hop set: a corpus in which every question has its support.

[["Tarn", ["A lake.", " Deep."]], ...]                       HotpotQA, 2WikiMultihopQA ([...] as a text in Parquet)
{"title": ["Tarn", ...], "sentences": [["A lake."], ...]}    HotpotQA in Parquet
[{"title": "Tarn", "paragraph_text": "A lake."}, ...]        MuSiQue
"A lake. Deep."                                              one paragraph, as SQuAD has
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping

from fireact_ray.agent.tools.corpora.passage import Found, LeftOut, passage
from fireact_ray.core.json_text import NotJson, parse

CONTEXTS = ("context", "paragraphs")

_TEXTS = ("sentences", "paragraph_text", "text")


def context_passages(row: Mapping[str, object]) -> Iterator[Found]:
    """A question's paragraphs: a whole article each, known by its title, except in a set that cuts articles."""
    context = next(row[name] for name in CONTEXTS if row.get(name) is not None)
    if isinstance(context, str):
        listed = _listed(context)
        if listed is None:
            yield passage(row.get("title"), context)
            return
        context = listed
    match context:
        case {"title": list(titles), "sentences": list(texts)} if len(titles) == len(texts):
            pairs: Iterator[object] = zip(titles, texts, strict=True)
        case list():
            pairs = iter(context)
        case _:
            yield LeftOut.NO_FIELD
            return
    yield from map(_paragraph, pairs)


def _paragraph(paragraph: object) -> Found:
    match paragraph:
        case [title, list(sentences)]:
            return passage(_unescaped(title), list(map(_unescaped, sentences)), by_title=True)
        case [title, str(text)]:
            return passage(_unescaped(title), _unescaped(text), by_title=True)
        case {"title": title, **rest}:
            return passage(title, next((rest[name] for name in _TEXTS if rest.get(name) is not None), None))
        case _:
            return LeftOut.NO_FIELD


def _unescaped(value: object) -> object:
    return html.unescape(value) if isinstance(value, str) else value


def _listed(text: str) -> list[object] | None:
    if not text.lstrip().startswith("[["):
        return None
    try:
        found = parse(text)
    except NotJson:
        return None
    return found if isinstance(found, list) else None
