"""The whole job in processes of its own, as a user runs it, at a size for tests."""

import os
import re
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from .conftest import SMALL

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]


def left_running(marker: str) -> list[str]:
    """Command lines of living processes that inherited `marker` in their environment."""
    alive = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (process / "environ").read_bytes():
                alive.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:  # it ended while we looked
            continue
    return alive


def test_the_demo_does_the_whole_job_and_leaves_nothing_running(tmp_path):
    marker = f"FIREACT_TEST={uuid.uuid4()}"
    env = dict([*os.environ.items(), marker.split("="), ("RAY_ADDRESS", "")])  # with a Ray of its own
    command = [sys.executable, "-m", "fireact_ray.cli", "demo", *SMALL, f"--set=output_dir={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=800, env=env)
    assert done.returncode == 0, done.stderr
    assert "Set ray log level" not in done.stderr  # what is on a user's screen is said by us
    for part in ("Ray Train", "Ray Serve"):
        assert part in done.stderr
    assert re.search(r"demo: start Ray ~20 s, generate ~25 s, .*\n", done.stderr.splitlines(keepends=True)[0])
    shares = (
        r"generate \d+ s \(\d+ %\), convert .*, train .*, evaluate .*, serve .*; \d+ s in all; nothing is left running"
    )
    assert re.search(shares, done.stderr.splitlines()[-1])
    for kind in ("2hop", "comparison", "yesno"):  # each asked of both agents, side by side
        answered = rf"{kind}: (?s:.+?)\? *\n(?s:.+?)base .+ finetuned .+\n(?s:.+?)Answer: .+ Answer: .+\n"
        assert re.search(answered, done.stdout)
    assert re.search(r"\| EM % by kind +\| +finetuned \|", done.stdout)
    assert "convert: convert.kinds would take more rows than there are: 1hop " in done.stderr  # of 16 questions
    assert re.search(r"\| finetuned +\|.+\| +4 \|", done.stdout)
    for name in ("trajectories", "dataset", "model", "evaluations"):
        assert f"{tmp_path}/demo/{name}" in done.stdout
        assert (tmp_path / "demo" / name).is_dir()
    deadline = time.monotonic() + 300  # Ray's daemons take a moment to follow their driver
    while left_running(marker) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert left_running(marker) == []
