"""Wikipedia's own API, or that of any MediaWiki with extracts: the introductions of the pages found. No key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from fireact_ray.agent.tools.web.http import Request
from fireact_ray.agent.tools.web.reading import number, rows, text
from fireact_ray.core.errors import ToolError
from fireact_ray.core.net.provider_errors import one_line
from fireact_ray.core.types import Hit


@dataclass(frozen=True, slots=True)
class Wikipedia:
    base_url: str
    name: ClassVar[str] = "wikipedia"

    def request(self, query: str, k: int, key: str) -> Request:
        n_pages = str(min(k, 20))  # the API gives no more introductions at a time
        params = {
            "action": "query",
            "format": "json",
            "formatversion": "2",
            "generator": "search",
            "gsrsearch": query,
            "gsrlimit": n_pages,
            "prop": "extracts",
            "exintro": "1",
            "explaintext": "1",
            "exlimit": n_pages,
        }
        return Request("GET", f"{self.base_url}/w/api.php", params)

    def hits(self, reply: dict[str, Any]) -> list[Hit]:
        if "error" in reply:  # with HTTP 200
            problem = one_line(f"'{text(reply, 'error', 'code')}': {text(reply, 'error', 'info')}")
            raise ToolError(f"The search provider 'wikipedia': its error {problem}.")
        pages = sorted(rows(reply, "query", "pages"), key=lambda page: number(page, "index"))  # they come by page id
        return [Hit(text(page, "title"), text(page, "extract")) for page in pages]
