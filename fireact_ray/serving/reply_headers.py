"""What keeps a browser from doing more with a reply than showing it; and what lets a page of another origin read it."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders

ALLOWED = "access-control-allow-origin"
_SECURITY = {
    # Of every reply but the page, which has its own: nothing else here is to be shown.
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}


def secure(reply: MutableHeaders) -> None:
    for name, value in _SECURITY.items():
        reply.setdefault(name, value)


def let_read(reply: MutableHeaders, origin: str) -> None:
    reply[ALLOWED] = origin
    reply["access-control-expose-headers"] = "x-request-id, retry-after, x-should-retry"
    reply.add_vary_header("Origin")
