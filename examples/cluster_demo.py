"""A run on an autoscaling cluster that loses a node in generation and one in training, beside the same on one machine.

python examples/cluster_demo.py        (or `make cluster-demo`; no key, no GPU)

The cluster is local: a head without tasks and up to two nodes, each a raylet of its own, with Ray's autoscaler and
token authentication. `fireact submit` sends it the demo's recipe; when rows come in, a node is killed, and when the
student's first checkpoint is there, the node that trains it.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local_cluster import LocalCluster, local_cluster, until

from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import read_trajectories

N_QUESTIONS = 32
SETTINGS = [
    f"generate={{split: train, n_questions: {N_QUESTIONS}, workers: {{min: 1, max: 4}}, concurrency: 16}}",
    "teacher.model={kind: scripted, latency_median_s: 1.5, latency_sigma: 0.5}",
    *("train.workers=1", "train.epochs=12", "train.global_batch_size=4", "train.checkpoint_every_steps=20"),
    *("train.precision=fp32", "student.precision=fp32"),  # not what a busy machine measures to be fast
    *("evaluate.n_questions=24", "evaluate.systems=[finetuned]"),
]

_TELLING = ("job: ", "workers", "was lost", "rows", "begins again")


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="fireact-cluster-demo-"))
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - began:4.0f} s] {text}", flush=True)

    try:
        with local_cluster(n_nodes=2, cpus=1) as cluster:
            say(f"cluster: a head without tasks at {cluster.url}, {len(cluster.nodes())} other nodes, token on")
            on_the_cluster(cluster, folder / "cluster", say)
        say("the same recipe on this machine alone")
        alone = ["run", "demo", *options(folder / "alone"), "--set=generate.workers=1"]
        subprocess.run(fireact(alone), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        same = compare(folder / "cluster" / "demo", folder / "alone" / "demo", say)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(not same)


def on_the_cluster(cluster: LocalCluster, output_dir: Path, say: Callable[[str], None]) -> None:
    command = fireact(["submit", "demo", "--cluster", cluster.url, "--follow", *options(output_dir)])
    say(shlex.join(["fireact", *command[3:]]))
    with (output_dir.parent / "job.log").open("w") as log:
        job = subprocess.Popen(command, env=cluster.env, stdout=log, stderr=subprocess.STDOUT)
    until(lambda: job.poll() is not None or len(cluster.nodes()) == 2, 240, "two nodes to come")
    say(f"up by demand: {len(cluster.nodes())} nodes")
    until(lambda: job.poll() is not None or n_rows(output_dir / "demo") >= N_QUESTIONS // 2, 240, "rows to come in")
    say(f"{n_rows(output_dir / 'demo')} rows are finished; killed a node: {cluster.kill_node()}")
    checkpoints = output_dir / "demo/checkpoints"
    until(lambda: job.poll() is not None or any(checkpoints.glob("checkpoint_*/checkpoint.json")), 300, "a checkpoint")
    say(f"a checkpoint is there; killed the node that trains: {cluster.kill_node('RayTrainWorker')}")
    if job.wait(900) != 0:
        sys.exit(f"the job failed:\n{(output_dir.parent / 'job.log').read_text()}")
    log = (output_dir.parent / "job.log").read_text().splitlines()
    say("the job ended with 0; of its log:")
    print(*(f"         {line}" for line in log if any(word in line for word in _TELLING)), sep="\n", flush=True)
    until(lambda: not cluster.nodes(), 120, "idle nodes to go")
    say("down when idle: 0 nodes beside the head")


def compare(cluster: Path, alone: Path, say: Callable[[str], None]) -> bool:
    """Rows without times and the student's answers have to be equal. Its weights are, too, on one kind of machine."""
    rows, answers = (
        [read_rows(run / folder) for run in (cluster, alone)]
        for folder in ("trajectories", "evaluations/finetuned/trajectories")
    )
    say(f"rows of the teacher: {len(rows[0])} and {len(rows[1])}, {equal(rows)}")
    weights = [[file.read_bytes() for file in sorted(run.glob("model/*.safetensors"))] for run in (cluster, alone)]
    say(f"weights of the student: {sum(map(len, weights[0])):,} bytes, {equal(weights)}")
    say(f"rows of the student: {len(answers[0])} and {len(answers[1])}, {equal(answers)}")
    reports = [json.loads((run / "evaluations/finetuned/report.json").read_text()) for run in (cluster, alone)]
    scores = [{name: report[name] for name in ("n_planned", "n_finished", "em", "f1")} for report in reports]
    say(f"report: {equal(scores)}: EM {scores[0]['em']['percent']:.1f} and {scores[1]['em']['percent']:.1f} %")
    return rows[0] == rows[1] and scores[0] == scores[1]


def equal(pair: list[Any]) -> str:
    return "equal" if pair[0] == pair[1] else "NOT equal"


def read_rows(folder: Path) -> dict[str, Any]:
    """By key, without the seconds that calls took."""
    rows = {row.trajectory_id: row.to_dict() for row in read_trajectories(Folder(str(folder)))}
    for row in rows.values():
        row.pop("overhead_s", None)
        for step in row["steps"]:
            step["model_latency_s"] = step["tool_latency_s"] = 0.0
    return rows


def n_rows(run: Path) -> int:
    """Finished so far, as `fireact status` says it, too."""
    progress = run / "progress.json"
    return int(json.loads(progress.read_text())["done"]) if progress.exists() else 0


def options(output_dir: Path) -> list[str]:
    return [*(f"--set={setting}" for setting in SETTINGS), f"--set=output_dir={output_dir}"]


def fireact(arguments: list[str]) -> list[str]:
    return [sys.executable, "-m", "fireact_ray.cli", *arguments]


if __name__ == "__main__":
    main()
