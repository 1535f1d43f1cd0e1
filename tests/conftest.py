"""Paths and environment that all tests share."""

import os
import re
import sys
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("patient", deadline=None)  # how long an example takes says nothing about it
settings.load_profile("patient")
sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["HF_HUB_OFFLINE"] = "1"  # no test may reach the network

_MARKED_FILE = re.compile(r"^pytestmark = .*", re.MULTILINE)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not import a file all of whose tests are deselected: loading torch takes longer than the fast tests do."""
    left_out = re.findall(r"not (\w+)", config.option.markexpr)
    if not left_out or collection_path.suffix != ".py":
        return None
    marked = _MARKED_FILE.search(collection_path.read_text(encoding="utf-8"))
    return True if marked and any(f"mark.{name}" in marked.group() for name in left_out) else None
