"""What every benchmark prints first, and how it prints its numbers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path


def print_header(settings: str = "") -> None:
    """Date, CPUs, commit, command."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    found = subprocess.run(git, capture_output=True, text=True, check=False).stdout if shutil.which("git") else ""
    commit = found.strip() or "unknown"
    load = os.getloadavg()[0]
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} CPUs, load {load:.1f}, commit {commit}")
    module = getattr(sys.modules["__main__"].__spec__, "name", sys.argv[0])
    print(f"python -m {module} {' '.join(sys.argv[1:])}")
    if settings:
        print(settings)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    print(f"\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for row in rows:
        print(f"| {' | '.join(str(cell) for cell in row)} |")
    print(flush=True)
