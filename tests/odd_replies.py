"""What a server may send in the place of a reply: anything, with the names that errors and replies have."""

import json

from hypothesis import strategies as st

from fireact_ray.core.net.http import HttpReply

FIELDS = st.sampled_from(
    ["choices", "error", "message", "code", "detail", "metadata", "raw", "type", "details", "param"]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(FIELDS, inner, max_size=3),
    max_leaves=4,
)


def said(value, status=200, **headers) -> HttpReply:
    return HttpReply(status, headers, json.dumps(value).encode())
