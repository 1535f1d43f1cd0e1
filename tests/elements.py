"""A page as a browser takes it apart."""

from __future__ import annotations

import base64
import hashlib
from html.parser import HTMLParser


class Elements(HTMLParser):
    """Tags with their attributes, and the text of style and script elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.within = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.texts.append("")
        self.within = tag

    def handle_endtag(self, tag):
        self.within = ""

    def handle_data(self, data):
        if self.within in ("style", "script"):
            self.texts[-1] += data

    def named(self, tag):
        return [(about, text) for (name, about), text in zip(self.tags, self.texts, strict=True) if name == tag]


def allowed_by(policy: str) -> dict[str, str]:
    """The directives of a content security policy."""
    return dict(part.strip().split(" ", 1) for part in policy.split(";"))


def hash_of(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
