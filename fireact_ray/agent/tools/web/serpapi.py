"""SerpAPI (Google), read as FireAct read it, so that one hit shows what its agents were shown in 2023."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from fireact_ray.agent.tools.web.http import Request
from fireact_ray.agent.tools.web.reading import rows, text
from fireact_ray.core.errors import ToolError
from fireact_ray.core.net.provider_errors import one_line
from fireact_ray.core.types import Hit

# In this order, the first that is there: FireAct's rule.
_ANSWERS = (
    ("answer_box", "answer"),
    ("answer_box", "snippet"),
    ("answer_box", "snippet_highlighted_words", 0),
)


@dataclass(frozen=True, slots=True)
class SerpApi:
    """Its only authentication is the key in the URL."""

    base_url: str
    country: str
    language: str
    name: ClassVar[str] = "serpapi"

    def request(self, query: str, k: int, key: str) -> Request:
        params = {
            "engine": "google",
            "google_domain": "google.com",
            "q": query,
            "gl": self.country,
            "hl": self.language,
            "api_key": key,
        }
        return Request("GET", f"{self.base_url}/search.json", params=params)

    def hits(self, reply: dict[str, Any]) -> list[Hit]:
        """The answer box, then the snippets of the organic results; without titles, as FireAct showed them."""
        problem, is_done = text(reply, "error"), text(reply, "search_metadata", "status") == "Success"
        if problem and not is_done:  # "Success" with an `error` text: nothing was found
            raise ToolError(f"The search provider 'serpapi': the search was given up there ({one_line(problem)}).")
        answer = next((found for path in _ANSWERS if (found := text(reply, *path))), "")
        return [Hit("", found) for found in [answer, *(text(row, "snippet") for row in rows(reply, "organic_results"))]]
