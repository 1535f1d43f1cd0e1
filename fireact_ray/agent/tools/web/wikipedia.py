"""Wikipedia's own API, or that of any MediaWiki with extracts: the introductions of the pages found. No key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from fireact_ray.agent.tools.web.http import Request
from fireact_ray.agent.tools.web.reading import at, number, text
from fireact_ray.core.types import Hit

_MAX_QUERY_CHARS = 300  # CirrusSearch refuses a longer one


@dataclass(frozen=True, slots=True)
class Wikipedia:
    base_url: str
    name: ClassVar[str] = "wikipedia"
    sections: ClassVar[tuple[str, ...]] = ("query.pages", "batchcomplete")
    bare_list: ClassVar[str | None] = None

    def request(self, query: str, k: int, key: str) -> Request:
        n_pages = str(min(k, 20))  # the API gives no more introductions at a time
        params = {
            "action": "query",
            "format": "json",
            "formatversion": "2",
            "generator": "search",
            "gsrsearch": query[:_MAX_QUERY_CHARS],
            "gsrlimit": n_pages,
            "prop": "extracts",
            "exintro": "1",
            "explaintext": "1",
            "exlimit": n_pages,
        }
        return Request("GET", f"{self.base_url}/w/api.php", params)

    def hits(self, reply: dict[str, Any]) -> list[Hit]:
        """The pages of a wiki that does not know formatversion 2 are an object, by page id. A page without `extract` is
        of a wiki that makes none."""
        found = at(reply, "query", "pages")
        listed = found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()
        pages = sorted(listed, key=lambda page: number(page, "index"))  # they come by page id
        return [Hit(text(page, "title"), text(page, "extract")) for page in pages if at(page, "extract") is not None]

    def finds_nothing(self, reply: dict[str, Any]) -> bool:
        return False  # `batchcomplete` without pages says it
