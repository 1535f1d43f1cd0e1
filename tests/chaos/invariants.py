"""What must hold of a run whatever happened to it.

I1  every planned question has its row, once; no key twice in the files of a run that is committed
I2  every row ends with a known stop reason
I3  the teacher was asked for what stands in the rows, and no more often than allowed beyond that
I4  a question's canary is in each search of its row, and in no other row
I5  no secret stands in any file or output

I6, the exit code, is asserted where commands are run.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, quote_plus

import pyarrow.parquet as pq

from fireact_ray.core.types import StopReason, Trajectory
from fireact_ray.rollouts.audit import audit

from .scene import Scene


def check(scene: Scene, *, extra_calls: int) -> None:
    """I1 to I4 of a run that is complete."""
    every_row_once(scene)
    calls_are_bounded(scene, extra_calls)
    canaries_stay_at_home(scene)


def every_row_once(scene: Scene) -> None:
    """I1 and I2, from the files themselves and from our own reader, manifest and audit."""
    folder = (scene.run / "trajectories").local_path
    raw = [row for part in folder.glob("*.parquet") for row in pq.read_table(part).to_pylist()]
    assert {row["question_id"] for row in raw} == set(scene.canaries), "I1: rows lost, or rows of nowhere"
    assert {row["stop_reason"] for row in raw} <= {str(reason) for reason in StopReason}, "I2"
    assert sorted(row.question.id for row in scene.rows) == sorted(scene.canaries), "I1: read more than once"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["planned"], manifest["written"]) == (len(scene.canaries), len(scene.canaries)), "I1: manifest"
    found = audit(scene.run)
    assert (found.planned, found.written, found.pending) == (len(scene.canaries), len(scene.canaries), 0), "I1: audit"
    assert found.problems == (), "I1: a committed run holds each key once"


def calls_are_bounded(scene: Scene, extra_calls: int) -> None:
    """I3: every reply that is used was asked for once; `extra_calls` were lost on the way."""
    used = sum(len(row.steps) for row in scene.rows)
    asked = scene.n_requests
    assert used <= asked <= used + extra_calls, f"I3: {asked} calls for {used} replies, {extra_calls} may be lost"


def canaries_stay_at_home(scene: Scene) -> None:
    """I4"""
    of_all = re.compile("|".join(scene.canaries.values()))
    for row in scene.rows:
        own = {scene.canaries[row.question.id]}
        assert set(of_all.findall(json.dumps(row.to_dict()))) == own, "I4: another row's text"
        searches = [step for step in row.steps if step.action and step.action.tool == "search"]
        assert all(set(of_all.findall(step.completion)) == own for step in searches), "I4: a reply to nobody's question"


def no_secret(secret: str, folders: Iterable[Path]) -> None:
    """I5: in no file, as it is or as URLs and JSON spell it."""
    spellings = [
        text.encode() for text in (secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1])
    ]
    files = {
        str(file): any(text in content for text in spellings)
        for folder in folders
        for file, content in contents(folder)
    }
    assert files, "I5: nothing was looked at"
    assert [file for file, leaks in files.items() if leaks] == [], "I5: the secret stands in a file"


def contents(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Of all files below it, but those that go while we look: who writes there may be at work."""
    for place, _, names in os.walk(folder):
        for file in (Path(place, name) for name in names):
            with suppress(FileNotFoundError):
                if file.is_file():
                    yield file, file.read_bytes()


def timeless(rows: Iterable[Trajectory]) -> list[dict]:
    """Rows by question, without the seconds that calls took, and without keys: those hold the library's port."""
    plain = [row.to_dict() for row in sorted(rows, key=lambda row: row.question.id)]
    for row in plain:
        del row["trajectory_id"]
        row.pop("overhead_s", None)
        for step in row["steps"]:
            step["model_latency_s"] = step["tool_latency_s"] = 0.0
    return plain
