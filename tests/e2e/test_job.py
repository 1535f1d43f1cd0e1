"""The whole job as one that is submitted to a cluster."""

import os
import re
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from .conftest import SMALL

pytestmark = pytest.mark.e2e

SMALLER = ["--set=train.workers=1"]
ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_pipeline_runs_as_a_ray_job_on_a_head_that_was_started_before(tmp_path):
    # Every port that would be a fixed one: another Ray of this machine may have it, and no job would ever start.
    fixed = ("port", "dashboard-port", "ray-client-server-port", "dashboard-agent-listen-port")
    ports = {name: free_port() for name in fixed}
    ray = [str(Path(sys.executable).with_name("ray"))]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # as in an activated environment
    env = {**os.environ, "PATH": path, "RAY_TMPDIR": f"/tmp/r{os.getpid()}", "RAY_AUTH_MODE": "disabled"}
    env.pop("RAY_ADDRESS", None)  # that of the tests' own Ray, which `ray job submit` would take before --address
    options = [f"--{name}={port}" for name, port in ports.items()]
    start = [*ray, "start", "--head", "--num-cpus=4", "--dashboard-host=127.0.0.1", "--disable-usage-stats", *options]
    head = subprocess.Popen([*start, "--block"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{ports['dashboard-port']}"
        submit = [*ray, "job", "submit", "--address", address, "--working-dir", str(ROOT), "--"]
        job = ["python", "jobs/pipeline.py", "--recipe", "demo", *SMALL, *SMALLER, f"--set=output_dir={tmp_path}"]
        for _ in range(60):  # the head answers before it can take jobs
            try:
                done = subprocess.run([*submit, *job], env=env, capture_output=True, text=True, timeout=800)
            except subprocess.TimeoutExpired as hung:  # say how far the job came
                pytest.fail(f"the job did not end in 800 s\n{(hung.stdout or b'').decode()}")
            if not re.search("No available agent|Failed to connect", done.stderr):
                break
            time.sleep(1)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "succeeded" in done.stdout
        assert (tmp_path / "demo" / "evaluations" / "report.md").is_file()
    finally:
        # Ray's daemons leave the process group of the head, and rename themselves; one that is left behind spins.
        for process in [*psutil.Process(head.pid).children(recursive=True), head]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        head.wait(30)
