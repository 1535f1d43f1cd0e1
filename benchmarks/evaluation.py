"""Recorded trajectories scored anew: rows/s and memory of `fireact score` over streamed Parquet.

    python -m benchmarks.evaluation                           # 1,000,000 rows
    python -m benchmarks.evaluation --rows 20000 1000000      # what a row costs at each size

Rows are made here: questions with one to three accepted answers, answers of one to six words of which about a third is
right, three steps with observations of 400 characters, in parts of 20,000 rows as a run leaves them after compaction.
Writing them is not timed. Scoring is timed in a new process from its first line to the JSON that it writes, its start
not included; memory is that process's peak beside what it holds when its imports are done.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.header import print_header, print_table
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import write_trajectories
from fireact_ray.core.types import Action, Observation, Question, Step, StopReason, Trajectory, Usage
from fireact_ray.evaluation.recorded.scoring import score_paths, scores_dict
from fireact_ray.tasks.scoring import best_score

_ROWS_PER_PART = 20_000
_WORDS = [
    f"{first}{second}" for first in ("tarn", "ulm", "zem", "orr", "sull", "elbe") for second in ("", "ey", "ford")
]
_KINDS = ("bridge", "comparison")
_KIB = 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--scored", help=argparse.SUPPRESS)  # the folder, in the process that is timed
    args = parser.parse_args()
    if args.scored:
        print(json.dumps(_score(args.scored)))
        return
    print_header()
    table = []
    for n_rows in args.rows:
        with tempfile.TemporaryDirectory(prefix="fireact-score-") as scratch:
            _write(f"{scratch}/run", n_rows)
            n_mib = sum(file.stat().st_size for file in Path(scratch).rglob("*.parquet")) / _KIB**2
            seconds, grown_mib = _in_new_process(f"{scratch}/run")
        table.append(
            [f"{n_rows:,}", f"{n_mib:,.0f}", f"{seconds:.1f}", f"{n_rows / seconds:,.0f}", f"{grown_mib:,.0f}"]
        )
    print_table(["rows", "MiB on disk", "seconds", "rows/s", "MiB of memory"], table)


def _in_new_process(run: str) -> tuple[float, float]:
    command = [sys.executable, "-m", "benchmarks.evaluation", "--scored", run]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    seconds, grown_mib = json.loads(found)
    return float(seconds), float(grown_mib)


def _score(run: str) -> tuple[float, float]:
    before, started = _peak_mib(), time.perf_counter()
    found = score_paths([run], [], "dev", None)
    Folder(run).write_json("scores.json", scores_dict(found))
    seconds = time.perf_counter() - started
    verdicts = found[0].verdicts
    assert verdicts.anew == found[0].report.n_planned
    assert not verdicts.differing
    return seconds, _peak_mib() - before


def _peak_mib() -> float:
    """Of this process since it began: getrusage would count what its parent had held."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / _KIB


def _write(run: str, n_rows: int) -> None:
    folder, rows = Folder(run) / "trajectories", _trajectories(n_rows)
    for part in range(0, n_rows, _ROWS_PER_PART):
        write_trajectories(folder, list(itertools.islice(rows, _ROWS_PER_PART)), f"{part:09d}")


def _trajectories(n_rows: int) -> Iterator[Trajectory]:
    chance = random.Random(0)
    for number in range(n_rows):
        golds = tuple(_words(chance, 4) for _ in range(chance.randint(1, 3)))
        answer = chance.choice(golds) if chance.random() < 1 / 3 else _words(chance, 6)
        question = Question("hotpotqa", f"q{number}", f"Which is number {number}?", golds, chance.choice(_KINDS))
        yield Trajectory(
            f"{number:016x}",
            question,
            "react",
            "m",
            0,
            (*_searches(chance), Step("I have it.", Action("finish", answer), None, "", Usage(900, 20), 0.7)),
            StopReason.FINISHED,
            best_score(answer, golds),
            None,
            chance.random() / 100,
        )


def _searches(chance: random.Random) -> Sequence[Step]:
    """Two steps with what they found."""
    seen = (Observation(" ".join(chance.choices(_WORDS, k=80))[:400]) for _ in range(2))
    asked = Action("search", _words(chance, 6))
    return [Step("I look it up.", asked, one, "I look it up.", Usage(500, 30), 0.8, 0.2) for one in seen]


def _words(chance: random.Random, most: int) -> str:
    return " ".join(chance.choices(_WORDS, k=chance.randint(1, most)))


if __name__ == "__main__":
    main()
