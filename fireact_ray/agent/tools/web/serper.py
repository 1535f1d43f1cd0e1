"""Serper (Google)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from fireact_ray.agent.tools.web.http import Request
from fireact_ray.agent.tools.web.reading import rows, text
from fireact_ray.core.types import Hit


@dataclass(frozen=True, slots=True)
class Serper:
    base_url: str
    country: str
    language: str
    name: ClassVar[str] = "serper"

    def request(self, query: str, k: int, key: str) -> Request:
        body = {"q": query, "num": max(k, 10), "gl": self.country, "hl": self.language}  # 10 cost as much as 1
        return Request("POST", f"{self.base_url}/search", headers={"X-API-KEY": key}, body=body)

    def hits(self, reply: dict[str, Any]) -> list[Hit]:
        """The answer box, the knowledge graph's description, then the organic results."""
        return [
            Hit("", text(reply, "answerBox", "answer") or text(reply, "answerBox", "snippet")),
            Hit(text(reply, "knowledgeGraph", "title"), text(reply, "knowledgeGraph", "description")),
            *(Hit(text(row, "title"), text(row, "snippet")) for row in rows(reply, "organic")),
        ]
