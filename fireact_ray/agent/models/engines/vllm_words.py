"""Why vLLM could not start, in one line. Its core is a process whose error stands in its stderr only: that is ours."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

_STDERR = 2
_RAISED = re.compile(r"^(?:[\w.]+\.)?\w+(?:Error|Exception): (.+)$", re.MULTILINE)
_ELSEWHERE = re.compile("root cause", re.IGNORECASE)  # it points to what another process has said


def n_said() -> int:
    """Bytes that this process and those it started have written to stderr; 0 where that is no file."""
    found = os.fstat(_STDERR)
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def reason(error: Exception, n_before: int) -> str:
    """`n_before`: what `n_said` was before the start. Of what has been raised the last that points nowhere else."""
    told = _line(str(error))
    if not _ELSEWHERE.search(told):
        return told
    causes = [cause for cause in _RAISED.findall(_said_since(n_before)) if not _ELSEWHERE.search(cause)]
    return _line(causes[-1]) if causes else told


def _said_since(n_before: int) -> str:
    if not stat.S_ISREG(os.fstat(_STDERR).st_mode):
        return ""
    with Path(f"/proc/self/fd/{_STDERR}").open("rb") as said:  # ours may be open for writing only
        said.seek(n_before)
        return said.read().decode(errors="replace")


def _line(told: str) -> str:
    """The first; of pydantic the one that says what is wrong, without what it was given."""
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    wrong = next((line for line in lines if "[type=" in line), None)
    if wrong is not None:
        return re.sub(r"^Value error, | \[type=.*$", "", wrong)
    return lines[0] if lines else "no reason given"
