"""A run as a job of an autoscaling cluster that wants a token and loses a node: as a user gives the commands."""

import re
import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError

import pytest
from gate import Gate
from plain_run import generate_here

from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import read_trajectories
from fireact_ray.demo.teacher.faults import Latency
from fireact_ray.demo.teacher.server import ScriptedTeacher
from fireact_ray.recipe.loader import load_recipe

from ..chaos.invariants import contents, timeless

pytestmark = pytest.mark.e2e

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
from local_cluster import LocalCluster, local_cluster, until  # noqa: E402

KEY = "CANARY-0f3a9b7c5d1e"
N_QUESTIONS = 16
N_ROWS = 2 * N_QUESTIONS  # of two methods


@pytest.fixture(scope="module")
def gate():
    """The first run is held in its middle."""
    return Gate(Latency(median_s=1.2, sigma=0.5), [N_ROWS])


@pytest.fixture(scope="module")
def teacher(gate):
    with ScriptedTeacher(latency=gate, api_key=KEY) as made:
        yield made


@pytest.fixture(scope="module")
def cluster():
    with local_cluster(n_nodes=2, cpus=1, idle_s=4, env={"TEACHER_KEY": KEY}) as made:
        yield made


def settings(teacher, folder, key="TEACHER_KEY"):
    where = f"kind: openai, name: {teacher.model_name}, base_url: '{teacher.base_url}', api_key_env: {key}"
    return [
        f"teacher.model={{{where}, timeout_s: 600}}",
        f"generate={{split: train, n_questions: {N_QUESTIONS}, workers: {{min: 1, max: 3}}, concurrency: 6}}",
        f"output_dir={folder}",
    ]


def submit(cluster: LocalCluster, given: list[str], *options: str, **env: str):
    command = [sys.executable, "-m", "fireact_ray.cli", "submit", "demo", "--stages=generate,convert"]
    command += ["--cluster", cluster.url, *options, *(f"--set={setting}" for setting in given)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env={**cluster.env, **env}, stdout=pipe, stderr=subprocess.STDOUT, text=True)


def said(process, code=0):
    text, _ = process.communicate(timeout=600)
    assert process.returncode == code, text
    return text


def test_a_job_grows_by_demand_outlives_a_node_and_is_told_once(cluster, gate, teacher, tmp_path):
    given, run = settings(teacher, tmp_path / "runs"), Folder(f"{tmp_path}/runs/demo")
    assert cluster.nodes() == []
    job = submit(cluster, given, "--follow")
    with gate.held(lambda: job.poll() is not None):
        until(lambda: len(cluster.nodes()) == 2, 240, "two nodes to come")
        again = said(submit(cluster, given), 2)
        assert cluster.kill_node()
    assert re.search(r"the job fireact-demo-\w+ is at work there \(RUNNING\)\. Two jobs in one run folder", again)
    log = said(job)
    assert "checked: nodes: 1; keys: the environment variable TEACHER_KEY" in log
    assert re.search(r"generate: [23] workers asked for, 1 so far", log)
    assert re.search(r"(?m)^stop +RAY_AUTH_MODE=token ray job stop --address http\S+ fireact-demo-\w+$", log)
    rows = read_trajectories(run / "trajectories")
    assert len(rows) == N_ROWS
    until(lambda: cluster.nodes() == [], 240, "idle nodes to go")

    n_asked = teacher.stats()["requests"]
    assert "generate: 32 rows planned, 32 already done" in said(submit(cluster, given, "--follow"))
    assert teacher.stats()["requests"] == n_asked
    jobs = {job["submission_id"]: job for job in cluster.get("/api/jobs/") if job["submission_id"]}
    first, second = sorted(jobs)
    assert second == f"{first}-2"
    assert [jobs[name]["metadata"]["fireact_state"] for name in (first, second)] == ["done", "done"]
    key_is_nowhere(cluster, first, log + again, tmp_path)

    alone = load_recipe("demo", settings(teacher, tmp_path / "alone"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TEACHER_KEY", KEY)
        generate_here(alone)
    assert same_order(rows) == same_order(read_trajectories(Folder(alone.run_dir) / "trajectories"))


def same_order(rows):
    return timeless(sorted(rows, key=lambda row: row.trajectory_id))


def key_is_nowhere(cluster: LocalCluster, job: str, shown: str, folder: Path) -> None:
    """Neither in what the API and the dashboard tell, nor in a log of any node or job, nor in the run folder."""
    paths = [
        "/api/jobs/",
        f"/api/jobs/{job}",
        f"/api/jobs/{job}/logs",
        "/nodes?view=details",
        "/logical/actors",
        "/api/v0/tasks",
    ]
    for text in (shown, *map(cluster.text, paths)):
        assert len(text) > 2
        assert KEY not in text
    files = {file: KEY.encode() in content for place in (cluster.folder, folder) for file, content in contents(place)}
    assert len([file for file in files if file.suffix in (".log", ".out", ".err")]) > 20
    assert [file for file, holds_it in files.items() if holds_it] == []


def test_a_job_is_refused_without_a_token_and_without_its_key_before_anything_is_asked(cluster, teacher, tmp_path):
    given = settings(teacher, tmp_path, key="NO_SUCH_KEY")
    without = said(submit(cluster, given, RAY_AUTH_MODE="disabled"), 2)
    assert re.search(
        r"Cluster http\S+: it wants a token, and this command sends none\. Set RAY_AUTH_MODE=token", without
    )
    with pytest.raises(HTTPError, match="401"):
        cluster.get("/api/jobs/", token=False)
    n_asked = teacher.stats()["requests"]
    refused = said(submit(cluster, given), 2)
    lack = (
        r"there is no key in the environment variable NO_SUCH_KEY \(The recipe's teacher\.model\)\. A job carries names"
    )
    assert re.search(lack, refused)
    assert teacher.stats()["requests"] == n_asked
    assert not (tmp_path / "demo").exists()


def test_the_clusters_doctor_looks_at_it_from_within(cluster, tmp_path):
    command = [sys.executable, "-m", "fireact_ray.cli", "doctor", "--cluster", cluster.url, "--storage", str(tmp_path)]
    done = subprocess.run(command, env=cluster.env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = {line.split()[1]: line for line in done.stdout.splitlines() if re.match("(ok|FAIL|-) ", line)}
    assert lines["nodes"] == "ok    nodes       1 alive"
    assert "ray 2.60.0, torch 2.13.0" in lines["versions"]
    assert lines["token"] == "ok    token       asked for by every node"
    assert lines["storage"] == f"ok    storage     {tmp_path}: each node sees what each writes"
    assert [name for name, line in lines.items() if line.startswith("-")] == ["keys", "collective"]
    assert list(tmp_path.iterdir()) == []
