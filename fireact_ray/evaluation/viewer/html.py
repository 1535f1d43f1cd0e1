"""A page in, one HTML file out that loads nothing, sends nothing and runs no script but its own.

Data stands in script elements that are no script, and reaches the document as text nodes only. The policy in the head
allows exactly our own style and script, by their hashes, and no way of making markup from text.
"""

from __future__ import annotations

import html
from string import Template

from fireact_ray.core.pages.assembly import asset, joined, policy, to_json
from fireact_ray.evaluation.viewer.page import Page

_PACKAGE = __package__
_SHARED_STYLES, _STYLES = ("theme.css", "steps.css"), ("page.css", "card.css", "media.css")
_SHARED_SCRIPTS, _SCRIPTS = ("elements.js", "steps.js"), ("data.js", "list.js", "card.js", "head.js", "page.js")


def to_html(page: Page) -> str:
    style = joined(_PACKAGE, _SHARED_STYLES, _STYLES)
    script = joined(_PACKAGE, _SHARED_SCRIPTS, _SCRIPTS)
    return Template(asset(_PACKAGE, "page.html")).substitute(
        title=html.escape(page.index["title"]),
        policy=html.escape(policy(style, script)),
        style=style,
        script=script,
        index=to_json(page.index),
        bodies="\n".join(map(to_json, page.bodies)),
    )
