"""The files of `cluster/` as they are read here: strictly, and all scalars of one with their places."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "cluster"
LAUNCHERS = sorted(CLUSTER.glob("*.yaml"))
KUBERAY = sorted((CLUSTER / "kuberay").glob("*.yaml"))

_SECRET_NAME = re.compile(r"(api_?key|password|passwd|secret|token)s?$", re.IGNORECASE)
_SECRET_VALUE = re.compile(
    r"\b(sk-[\w-]{16,}|AKIA[A-Z0-9]{16}|gh[pousr]_\w{20,}|hf_\w{20,}|xox[abp]-[\w-]{10,}|AIza[\w-]{30,})"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|\b\w*(?:API_KEY|PASSWORD|SECRET|AUTH_TOKEN)=(?![\s\"'$])\S+"
)


class _Strict(yaml.SafeLoader):
    """Refuses a key that is given twice, of which YAML's loaders keep the last without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key '{name}' is given twice", key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


def documents(text: str) -> list[dict[str, Any]]:
    """Raises yaml.YAMLError, also for a key that is given twice."""
    return [one for one in yaml.load_all(text, _Strict) if one is not None]


def document(path: Path) -> dict[str, Any]:
    (only,) = documents(path.read_text(encoding="utf-8"))
    return only


def scalars(value: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from scalars(inner, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list):
        for n, inner in enumerate(value):
            yield from scalars(inner, f"{where}.{n}")
    else:
        yield where, value


def unpinned(image: str) -> bool:
    """Whether what an image's name stands for may change: no tag, `latest`, and no digest."""
    if "@sha256:" in image:
        return False
    _, colon, tag = image.rpartition("/")[2].partition(":")
    return not colon or tag.split("-")[0] in ("latest", "nightly", "")


def secrets(value: Any) -> list[str]:
    """Where a secret seems to be written out: by its form, or under a name of one. Paths are none."""
    found = []
    for where, scalar in scalars(value):
        if not isinstance(scalar, str):
            continue
        named = bool(_SECRET_NAME.search(where.rpartition(".")[2])) and "/" not in scalar
        if named or _SECRET_VALUE.search(scalar):
            found.append(f"{where}: a secret is written there; name a file or a Kubernetes secret that holds it")
    return found
