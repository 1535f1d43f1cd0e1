"""Brave Search: its description of each page."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import Any, ClassVar

from fireact_ray.agent.tools.web.http import Request
from fireact_ray.agent.tools.web.reading import rows, text
from fireact_ray.core.types import Hit

_MARKUP = re.compile(r"</?(?:strong|b|em|i)>")  # around the words that matched


@dataclass(frozen=True, slots=True)
class Brave:
    base_url: str
    country: str
    language: str
    name: ClassVar[str] = "brave"

    def request(self, query: str, k: int, key: str) -> Request:
        params = {
            "q": " ".join(query.split()[:50]),  # a longer query is refused
            "count": str(min(k, 20)),
            "country": self.country,
            "search_lang": self.language,
            "text_decorations": "false",
            "result_filter": "web",
        }
        return Request("GET", f"{self.base_url}/res/v1/web/search", params, {"X-Subscription-Token": key})

    def hits(self, reply: dict[str, Any]) -> list[Hit]:
        return [
            Hit(_plain(text(row, "title")), _plain(text(row, "description"))) for row in rows(reply, "web", "results")
        ]


def _plain(marked: str) -> str:
    return html.unescape(_MARKUP.sub("", marked))
