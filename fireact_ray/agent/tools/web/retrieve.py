"""Any server with Search-R1's interface:

POST /retrieve {"queries": [...], "topk": 3, "return_scores": true}
-> {"result": [[{"document": {"contents": "\\"Title\\"\\ntext"}, "score": 0.8}, ...]]}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from fireact_ray.agent.tools.web.http import Request
from fireact_ray.agent.tools.web.reading import at, number, rows, text
from fireact_ray.core.types import Hit


@dataclass(frozen=True, slots=True)
class Retrieve:
    base_url: str
    name: ClassVar[str] = "retrieve"

    def request(self, query: str, k: int, key: str) -> Request:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        body = {"queries": [query], "topk": k, "return_scores": True}
        return Request("POST", f"{self.base_url}/retrieve", headers=headers, body=body)

    def hits(self, reply: dict[str, Any]) -> list[Hit]:
        return [_hit(row) for row in rows(reply, "result", 0)]


def _hit(row: dict[str, Any]) -> Hit:
    """Title and text of their own, or both in `contents`. Without scores, some servers give the bare document."""
    document = at(row, "document") or row
    contents = text(document, "contents")
    title, newline, passage = contents.partition("\n")
    if newline:
        return Hit(title.strip().strip('"'), passage.strip(), number(row, "score"))
    return Hit(text(document, "title").strip('"'), contents or text(document, "text"), number(row, "score"))
