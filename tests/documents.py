"""What a document shows to be typed or run, as it is written there."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(document: str, language: str = "") -> list[str]:
    """The fenced blocks of a file in docs/; `language`: as behind the fence, "" where there is none."""
    text = (DOCS / document).read_text(encoding="utf-8")
    return [block for named, block in _FENCED.findall(text) if named == language]


def commands(document: str, program: str) -> list[str]:
    """Of its shell blocks, the commands of a program, each in one line without its comment."""
    lines = "\n".join(blocks(document)).replace("\\\n", " ").split("\n")
    return [re.sub(r"\s+#[^']*$", "", line) for line in lines if line.startswith(f"{program} ")]
