"""SerpAPI (Google), read as FireAct read it, so that one hit shows what its agents were shown in 2023."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from fireact_ray.agent.tools.web.http import Request
from fireact_ray.agent.tools.web.reading import at, facts, joined, rows, text, texts
from fireact_ray.core.types import Hit

# In this order, the first that is there: FireAct's rule, then what it did not read (a calculator's result, a list).
_ANSWERS = ("answer", "snippet", "snippet_highlighted_words", "result", "list")
_FACTS = ("knowledge_graph", "sports_results", "ai_overview", "top_stories", "news_results", "related_questions")
_MORE_FACTS = ("events_results", "local_results", "questions_and_answers", "discussions_and_forums")
_NOTHING = re.compile(r"hasn't returned any results|no results", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SerpApi:
    """Its only authentication is the key in the URL."""

    base_url: str
    country: str
    language: str
    name: ClassVar[str] = "serpapi"
    sections: ClassVar[tuple[str, ...]] = ("organic_results", "answer_box", "answer_box_list", *_FACTS, *_MORE_FACTS)
    bare_list: ClassVar[str | None] = None

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
        """The answer box, then the snippets of the organic results; without titles, as FireAct showed them. Behind
        them what FireAct did not read: the page's boxes of facts, and its titles."""
        organic = rows(reply, "organic_results")
        boxes = [box for name in ("answer_box", "answer_box_list") for box in _boxes(at(reply, name))]
        found = [next((answer for box in boxes if (answer := _answer(box))), ""), *map(_snippet, organic)]
        return [
            *(Hit("", one) for one in found),
            *(Hit("", facts(box, without=("type",))) for box in boxes if not _answer(box)),
            *(hit for name in (*_FACTS, *_MORE_FACTS) for hit in _known(at(reply, name))),
            *(Hit(text(row, "title"), "") for row in organic),
        ]

    def finds_nothing(self, reply: dict[str, Any]) -> bool:
        state = text(reply, "search_information", "organic_results_state")
        return _NOTHING.search(text(reply, "error")) is not None or state.lower() == "fully empty"


def _boxes(found: Any) -> list[Any]:
    return found if isinstance(found, list) else [found]


def _answer(box: Any) -> str:
    """A list of answers is one answer; of the words that are highlighted in a snippet, FireAct took the first."""
    if isinstance(box, str):
        return text(box)
    for name in _ANSWERS:
        if found := texts(box, name):
            return found[0] if name == "snippet_highlighted_words" else ", ".join(found)
    return ""


def _snippet(row: dict[str, Any]) -> str:
    return text(row, "snippet") or ", ".join(texts(row, "snippet_highlighted_words")) or facts(at(row, "rich_snippet"))


def _known(section: Any) -> Iterator[Hit]:
    """An entity by its description, or what it is; a list by its items."""
    if isinstance(section, list):
        for item in section:
            title = text(item, "question") or text(item, "title")
            told = text(item, "snippet") or text(item, "answer")
            yield Hit(title if told else "", told or facts(item))
    elif isinstance(section, dict):
        told = text(section, "description") or text(section, "type") or text(section, "entity_type")
        rest = facts(section, without=("title", "type", "entity_type", "description"))
        yield Hit(text(section, "title"), joined(told, rest))
