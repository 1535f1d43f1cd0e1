"""Tavily: page contents cut to what bears on the query, with scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from fireact_ray.agent.tools.web.http import Request
from fireact_ray.agent.tools.web.reading import number, rows, text
from fireact_ray.core.types import Hit


@dataclass(frozen=True, slots=True)
class Tavily:
    base_url: str
    depth: str
    name: ClassVar[str] = "tavily"
    sections: ClassVar[tuple[str, ...]] = ("results", "answer")
    bare_list: ClassVar[str | None] = None

    def request(self, query: str, k: int, key: str) -> Request:
        body = {"query": query, "max_results": min(k, 20), "search_depth": self.depth}
        return Request("POST", f"{self.base_url}/search", headers={"Authorization": f"Bearer {key}"}, body=body)

    def hits(self, reply: dict[str, Any]) -> list[Hit]:
        """The answer, which comes where the account or a proxy asks for one, then the pages."""
        return [
            Hit("", text(reply, "answer")),
            *(
                Hit(text(row, "title"), text(row, "content") or text(row, "raw_content"), number(row, "score"))
                for row in rows(reply, "results")
            ),
        ]

    def finds_nothing(self, reply: dict[str, Any]) -> bool:
        return False  # empty `results` say it
