"""Brave Search: what it knows of an entity, and its description of each page."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import Any, ClassVar

from fireact_ray.agent.tools.web.http import Request
from fireact_ray.agent.tools.web.reading import at, facts, joined, rows, text
from fireact_ray.core.types import Hit

_EMPTY_KEYS = {"type", "query", "mixed"}  # of a reply in which no page was found
_MARKUP = re.compile(r"</?(?:strong|b|em|i)>")  # around the words that matched


@dataclass(frozen=True, slots=True)
class Brave:
    base_url: str
    country: str
    language: str
    name: ClassVar[str] = "brave"
    sections: ClassVar[tuple[str, ...]] = ("web.results", "infobox.results", "news.results", "faq.results")
    bare_list: ClassVar[str | None] = None

    def request(self, query: str, k: int, key: str) -> Request:
        params = {
            "q": " ".join(query.split()[:50]),  # a longer query is refused
            "count": str(min(k, 20)),
            "country": self.country,
            "search_lang": self.language,
            "text_decorations": "false",
            "result_filter": "web,infobox",
        }
        return Request("GET", f"{self.base_url}/res/v1/web/search", params, {"X-Subscription-Token": key})

    def hits(self, reply: dict[str, Any]) -> list[Hit]:
        """The pages, or what is there where no page is: the infobox, news, frequent questions."""
        return [
            *(_hit(row, text(row, "description")) for row in rows(reply, "web", "results")),
            *(_hit(row, _entity(row)) for row in _listed(at(reply, "infobox", "results"))),
            *(_hit(row, text(row, "description")) for row in rows(reply, "news", "results")),
            *(Hit(_plain(text(row, "question")), _plain(text(row, "answer"))) for row in rows(reply, "faq", "results")),
        ]

    def finds_nothing(self, reply: dict[str, Any]) -> bool:
        return text(reply, "type") == "search" and _EMPTY_KEYS.issuperset(
            name for name, value in reply.items() if value is not None
        )


def _listed(found: Any) -> list[Any]:
    return found if isinstance(found, list) else [found]


def _entity(row: Any) -> str:
    pairs = at(row, "attributes")  # [["Born", "1933"], ...]
    named = [": ".join(map(str, pair)) for pair in pairs if isinstance(pair, list)] if isinstance(pairs, list) else []
    told = text(row, "long_desc") or text(row, "description") or facts(at(row, "category"))
    return joined(told, *named)


def _hit(row: Any, told: str) -> Hit:
    return Hit(_plain(text(row, "title")), _plain(told))


def _plain(marked: str) -> str:
    return html.unescape(_MARKUP.sub("", marked))
