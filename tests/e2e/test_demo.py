"""The whole job in processes of its own, as a user runs it, at a size for tests."""

import os
import re
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

SMALL = [
    "--set=generate={split: train, n_questions: 16, workers: 1, concurrency: 32}",
    "--set=train.epochs=1",
    "--set=evaluate={split: test, n_questions: 4}",
]
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
    for part in ("Ray Train", "Ray Serve"):
        assert part in done.stderr
    assert re.search(r"demo: start Ray ~20 s, generate ~20 s, .*\n", done.stderr.splitlines(keepends=True)[0])
    shares = (
        r"generate \d+ s \(\d+ %\), convert .*, train .*, evaluate .*, serve .*; \d+ s in all; nothing is left running"
    )
    assert re.search(shares, done.stderr.splitlines()[-1])
    assert re.search(r"Question: .+\nThought: .+\nAction: ", done.stdout)
    assert re.search(r"\| base +\|.+\| +4 \|", done.stdout)
    assert re.search(r"\| finetuned +\|.+\| +4 \|", done.stdout)
    for name in ("trajectories", "dataset", "model", "evaluations"):
        assert f"{tmp_path}/demo/{name}" in done.stdout
        assert (tmp_path / "demo" / name).is_dir()
    deadline = time.monotonic() + 60  # Ray's daemons take a moment to follow their driver
    while left_running(marker) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert left_running(marker) == []


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
        job = ["python", "jobs/pipeline.py", "--recipe", "demo", *SMALL, f"--set=output_dir={tmp_path}"]
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
        # Ray's daemons leave the process group of the head: they are known by their session folder.
        subprocess.run(["pkill", "-KILL", "-f", env["RAY_TMPDIR"]], check=False)
        head.kill()
        head.wait(30)
