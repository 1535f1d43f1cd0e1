"""A page in, one HTML file out that loads nothing, sends nothing and runs no script but its own.

Data stands in script elements that are no script, and reaches the document as text nodes only. The policy in the head
allows exactly our own style and script, by their hashes, and no way of making markup from text.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from importlib import resources
from string import Template
from typing import Any

from fireact_ray.evaluation.viewer.page import Page

_STYLES = ("page.css", "card.css", "media.css")
_SCRIPTS = ("data.js", "list.js", "card.js", "head.js", "page.js")
# `<` alone can end a script element or begin a comment within it; the last two end a line of a script.
_ESCAPES = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}


def to_html(page: Page) -> str:
    style, script = ("\n".join(map(_asset, names)) for names in (_STYLES, _SCRIPTS))
    return Template(_asset("page.html")).substitute(
        title=html.escape(page.index["title"]),
        policy=html.escape(_policy(style, script)),
        style=style,
        script=script,
        index=to_json(page.index),
        bodies="\n".join(map(to_json, page.bodies)),
    )


def to_json(value: Any) -> str:
    """JSON in one line that may stand in a script element: it holds no `<`, `>` or `&`."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).translate(_ESCAPES)


def _policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
