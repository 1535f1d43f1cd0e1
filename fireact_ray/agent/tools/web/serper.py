"""Serper (Google)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from fireact_ray.agent.tools.web.http import Request
from fireact_ray.agent.tools.web.reading import at, facts, joined, rows, text, texts
from fireact_ray.core.types import Hit


@dataclass(frozen=True, slots=True)
class Serper:
    base_url: str
    country: str
    language: str
    name: ClassVar[str] = "serper"
    sections: ClassVar[tuple[str, ...]] = ("organic", "answerBox", "knowledgeGraph", "topStories", "peopleAlsoAsk")
    bare_list: ClassVar[str | None] = None

    def request(self, query: str, k: int, key: str) -> Request:
        body = {"q": query, "num": max(k, 10), "gl": self.country, "hl": self.language}  # 10 cost as much as 1
        return Request("POST", f"{self.base_url}/search", headers={"X-API-KEY": key}, body=body)

    def hits(self, reply: dict[str, Any]) -> list[Hit]:
        """The answer box, the knowledge graph, then the organic results, top stories and related questions."""
        box, graph = at(reply, "answerBox"), at(reply, "knowledgeGraph")
        told = text(graph, "description") or text(graph, "type")
        return [
            Hit("", text(box, "answer") or text(box, "snippet") or ", ".join(texts(box, "snippetHighlighted"))),
            Hit(text(graph, "title"), joined(told, facts(at(graph, "attributes")))),
            *(Hit(text(row, "title"), _snippet(row)) for row in rows(reply, "organic")),
            *(Hit(text(row, "source"), text(row, "title")) for row in rows(reply, "topStories")),
            *(Hit(text(row, "question"), text(row, "snippet")) for row in rows(reply, "peopleAlsoAsk")),
        ]

    def finds_nothing(self, reply: dict[str, Any]) -> bool:
        return False  # an empty `organic` says it


def _snippet(row: dict[str, Any]) -> str:
    return text(row, "snippet") or facts(at(row, "attributes"))
