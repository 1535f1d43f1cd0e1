"""Files of a page in, its style and script as one text each out, and a policy that allows exactly these.

A page loads nothing, runs no script but its own and makes no markup from text: data reaches it as JSON that cannot end
its element, and the document as text nodes only.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from importlib import resources
from typing import Any

SHARED = __package__
# `<` alone can end a script element or begin a comment within it; the last two end a line of a script.
_ESCAPES = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}


def asset(package: str, name: str) -> str:
    """The text of a file beside the modules of `package`."""
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")


def joined(package: str, shared: Sequence[str], own: Sequence[str]) -> str:
    """Files of this package, then those of `package`, as one text."""
    return "\n".join([*(asset(SHARED, name) for name in shared), *(asset(package, name) for name in own)])


def policy(style: str, script: str, **others: str) -> str:
    """A content security policy; `others`: directives beyond it, with `_` for `-`, as in `connect_src="'self'"`."""
    directives = {
        "default-src": "'none'",
        "style-src": f"'{_digest(style)}'",
        "script-src": f"'{_digest(script)}'",
        **{name.replace("_", "-"): value for name, value in others.items()},
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in directives.items())


def to_json(value: Any) -> str:
    """JSON in one line that may stand in a script element: it holds no `<`, `>` or `&`."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).translate(_ESCAPES)


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
