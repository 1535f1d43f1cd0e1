"""Any server with Search-R1's interface:

POST /retrieve {"queries": [...], "topk": 3, "return_scores": true}
-> {"result": [[{"document": {"contents": "\\"Title\\"\\ntext"}, "score": 0.8}, ...]]}

Servers that were written after it differ in names and nesting: `results`, one flat list, the list alone, bare texts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from fireact_ray.agent.tools.web.http import Request
from fireact_ray.agent.tools.web.reading import number, text
from fireact_ray.core.types import Hit

_LISTS = ("result", "results", "documents", "docs", "passages", "hits", "topk", "retrieved_documents", "data")
_DOCUMENTS = ("document", "doc", "_source")  # what a row may keep beside its score
_TEXTS = ("contents", "content", "text", "passage", "body", "snippet", "long_text", "page_content")


@dataclass(frozen=True, slots=True)
class Retrieve:
    base_url: str
    name: ClassVar[str] = "retrieve"
    sections: ClassVar[tuple[str, ...]] = _LISTS
    bare_list: ClassVar[str | None] = "result"

    def request(self, query: str, k: int, key: str) -> Request:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        body = {"queries": [query], "topk": k, "return_scores": True}
        return Request("POST", f"{self.base_url}/retrieve", headers=headers, body=body)

    def hits(self, reply: dict[str, Any]) -> list[Hit]:
        """Of one query, so however deep the lists are nested, they hold its hits in their order."""
        return [hit for name in _LISTS for hit in _hits(reply.get(name))]

    def finds_nothing(self, reply: dict[str, Any]) -> bool:
        return False  # an empty list says it


def _hits(found: Any) -> Iterator[Hit]:
    """Depth first, without recursion: a server may nest as deep as it likes."""
    waiting = [found]
    while waiting:
        match waiting.pop():
            case str(passage):
                yield _hit(passage, passage, 0.0)
            case [str() | dict() as document, int() | float() as score]:
                yield _hit(document, _text(document), number(score))
            case list(several):
                waiting += reversed(several)
            case dict(row):
                document = next((inner for name in _DOCUMENTS if (inner := row.get(name))), row)
                if contents := _text(document):
                    yield _hit(document, contents, number(row, "score") or number(row, "_score"))
                else:
                    waiting += (row[name] for name in reversed(_LISTS) if name in row)


def _text(document: Any) -> str:
    return text(document) or next((found for name in _TEXTS if (found := text(document, name))), "")


def _hit(document: Any, contents: str, score: float) -> Hit:
    """Title and text of their own, or both in `contents`, parted by a line break."""
    title = text(document, "title") or text(document, "metadata", "title") or text(document, "meta", "title")
    first, newline, passage = contents.partition("\n")
    if newline and not title and passage.strip():
        return Hit(first.strip().strip('"'), passage.strip(), score)
    return Hit(title.strip('"'), contents.strip(), score)
