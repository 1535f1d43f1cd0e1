"""What a job is called: by its run folder, so that the same run is known again, and two of them are not begun."""

from __future__ import annotations

import re
from collections.abc import Mapping

from fireact_ray.core.errors import InputError
from fireact_ray.core.hashing import content_hash

ENDED = frozenset({"SUCCEEDED", "FAILED", "STOPPED"})  # as Ray says it


def stem(name: str, run_dir: str) -> str:
    """Of all jobs that work in one run folder, on any cluster. `name`: the recipe's."""
    return f"fireact-{re.sub('[^A-Za-z0-9-]', '-', name)}-{content_hash(run_dir, 8)}"


def next_id(named: str, known: Mapping[str, str], run_dir: str, logs: str) -> str:
    """The id to submit under: Ray takes each once, so a run that is gone on with counts. `known`: the status of every
    job of the cluster, by id; `logs`: the command that shows a job's log, without its id.

    Raises InputError where one is under way.
    """
    numbers = [0]
    for job, status in known.items():
        match = re.fullmatch(rf"{re.escape(named)}(?:-(\d+))?", job)
        if match is None:
            continue
        if status not in ENDED:
            raise under_way(job, status, run_dir, logs)
        numbers.append(int(match[1] or 1))
    number = max(numbers) + 1
    return named if number == 1 else f"{named}-{number}"


def under_way(job: str, status: str, run_dir: str, logs: str) -> InputError:
    return InputError(
        f"{run_dir}: the job {job} is at work there ({status}). Two jobs in one run folder would pay twice. Wait until "
        f"it has ended, or stop it, and give the same command again; its log: {logs} {job} --follow"
    )
