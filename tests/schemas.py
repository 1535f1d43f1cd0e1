"""Values for a JSON schema, as an OpenAPI document holds it: mostly such as it allows, at times of any kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

WORDS = st.text(max_size=20)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
_EDGES = st.sampled_from([0, -1, 2**31, 2**63, 10**30, 0.5, 1e308, float("inf"), float("nan"), "", "\x00", "٣", True])


def values_of(schema: Mapping[str, Any], document: Mapping[str, Any], depth: int = 4) -> st.SearchStrategy[Any]:
    """One in ten is of another kind than it should be."""
    fitting = _fitting(schema, document, depth)
    return st.integers(0, 9).flatmap(lambda n: (_EDGES | ANYTHING) if n == 0 else fitting)


def _fitting(schema: Mapping[str, Any], document: Mapping[str, Any], depth: int) -> st.SearchStrategy[Any]:
    if "$ref" in schema:
        found: Any = document
        for name in schema["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        return _fitting(found, document, depth)
    if "anyOf" in schema:
        return st.one_of([_fitting(one, document, depth) for one in schema["anyOf"]])
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    match schema.get("type"):
        case "object":
            return _objects(schema, document, depth)
        case "array":
            items = values_of(schema.get("items", {}), document, depth - 1) if depth > 0 else ANYTHING
            return st.lists(items, min_size=schema.get("minItems", 0), max_size=3)
        case "string":
            return WORDS
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
        case "integer" | "number":
            whole = st.integers(schema.get("minimum", -3), schema.get("maximum", 300))
            return whole if schema["type"] == "integer" else whole | whole.map(float)
    return ANYTHING


def _objects(schema: Mapping[str, Any], document: Mapping[str, Any], depth: int) -> st.SearchStrategy[dict[str, Any]]:
    """Of the fields that need not be there a few."""
    inner = {name: values_of(one, document, depth - 1) for name, one in schema.get("properties", {}).items()}
    if not inner or depth <= 0:
        return st.dictionaries(WORDS, ANYTHING, max_size=3)
    required = {name: inner[name] for name in schema.get("required", ())}
    others = sorted(set(inner) - set(required))
    some = st.lists(st.sampled_from(others), max_size=4, unique=True) if others else st.just([])
    return some.flatmap(lambda names: st.fixed_dictionaries({**required, **{name: inner[name] for name in names}}))
