"""GET /: the page, one answer that loads nothing else; and GET /v1/page: what it offers.

The page itself holds nothing of the run and is open to everybody who reaches the server, as a browser sends no key with
an address that is typed in. What it offers wants a key where the rest of the API does.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from functools import cache
from string import Template
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse, Response

from fireact_ray.core.pages.assembly import asset, joined, policy
from fireact_ray.serving.page.offer import Offer

PAGE = "/"

_PACKAGE = __package__
_SHARED_STYLES, _STYLES = ("theme.css", "steps.css"), ("page.css", "media.css")
_SHARED_SCRIPTS = ("elements.js", "steps.js")
_SCRIPTS = (
    *("visible.js", "events.js", "run.js", "follow.js", "take.js", "client.js", "history.js"),
    *("timeline.js", "draw.js", "say.js", "panels.js", "page.js"),
)
_ALLOWED = {"img_src": "data:", "connect_src": "'self'", "frame_ancestors": "'none'"}  # the image: our icon


def add_page(app: FastAPI, offer: Offer) -> None:
    @app.api_route(PAGE, methods=["GET", "HEAD"], include_in_schema=False)
    async def page(request: Request) -> Response:
        text, headers = _page()
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return HTMLResponse(text, headers=headers)

    @app.get("/v1/page")
    async def offered() -> dict[str, Any]:
        return asdict(offer)


@cache
def _page() -> tuple[str, dict[str, str]]:
    style = joined(_PACKAGE, _SHARED_STYLES, _STYLES)
    script = joined(_PACKAGE, _SHARED_SCRIPTS, _SCRIPTS)
    text = Template(asset(_PACKAGE, "page.html")).substitute(style=style, script=script)
    return text, {
        "Content-Security-Policy": policy(style, script, **_ALLOWED),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        "Cache-Control": "no-cache",
        "ETag": f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"',
    }
