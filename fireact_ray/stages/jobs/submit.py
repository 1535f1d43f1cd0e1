"""A run to a cluster as a job, from a machine that need not belong to it."""

from __future__ import annotations

import logging
import shlex
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray._private.runtime_env.packaging import GCS_STORAGE_MAX_SIZE
from ray.job_submission import JobSubmissionClient

from fireact_ray.core.errors import InputError
from fireact_ray.core.secrets import redact
from fireact_ray.recipe.keys import named_keys, place_of
from fireact_ray.recipe.loader import to_yaml
from fireact_ray.recipe.schema import Recipe
from fireact_ray.stages.jobs.client import as_command, connect, is_open
from fireact_ray.stages.jobs.follow import exit_code, follow
from fireact_ray.stages.jobs.names import ENDED, next_id, stem
from fireact_ray.stages.jobs.package import RECIPE, pack
from fireact_ray.stages.jobs.told import CHECKING, FAILED, STATE, STOPPED

_AGENT_S, _AGAIN_S = 60.0, 2.0
# Seconds that a stopped job has to write what has finished: Ray kills after 3.
_PLAIN_ENV = {"RAY_JOB_STOP_WAIT_TIME_S": "30"}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Submitted:
    """A job that was taken. `address`: of the dashboard; `again`: the command that goes on with it."""

    job: str
    address: str
    again: str

    @property
    def dashboard(self) -> str:
        return f"{self.address.rstrip('/')}/#/jobs/{self.job}"

    def command(self, what: str, *options: str) -> str:
        return as_command(shlex.join(["ray", "job", what, "--address", self.address, self.job, *options]))

    def __str__(self) -> str:
        return "\n".join(
            [
                f"job        {self.job}",
                f"dashboard  {self.dashboard}",
                f"log        {self.command('logs', '--follow')}",
                f"stop       {self.command('stop')}",
                f"resume     {self.again}",
            ]
        )


def submit(recipe: Recipe, stages: Sequence[str], address: str, again: str) -> Submitted:
    """Returns when the cluster has taken the job. `again`: the command line that was given.

    Raises InputError where it cannot be begun there, or one is under way in the same run folder.
    """
    client = connect(address)
    if is_open(address):
        logger.warning(
            "%s takes jobs of anybody who reaches it. Start its nodes with RAY_AUTH_MODE=token, or keep it on loopback",
            address,
        )
    logs = as_command(f"ray job logs --address {address}")
    named = next_id(stem(recipe.name, recipe.run_dir), _known(client), recipe.run_dir, logs)
    keys = ", ".join(place_of(key) for key in named_keys(recipe, stages)) or "none"
    logger.info("submit: keys, by name: %s", keys)
    run = {"fireact_run": recipe.run_dir, "fireact_stages": ",".join(stages), "fireact_keys": keys, STATE: CHECKING}
    return Submitted(_begin(client, recipe, ["--stages", ",".join(stages)], named, run), address, again)


def examine_from_outside(recipe: Recipe, storage: str | None, address: str, write: Callable[[str], None]) -> int:
    """The cluster's doctor as a job of its own, whose log is written; returns its exit code."""
    client = connect(address)
    options = ["--doctor", *(["--storage", storage] if storage is not None else [])]
    job = _begin(client, recipe, options, f"fireact-doctor-{uuid.uuid4().hex[:8]}", {})
    return exit_code(follow(client, job, write))


def watch(submitted: Submitted, write: Callable[[str], None], *, to_the_end: bool) -> int:
    """Writes the job's log until it has found what it needs on the nodes and begins, or `to_the_end`; returns the exit
    code of a job that has ended, else 0."""
    client = connect(submitted.address)
    details = follow(client, submitted.job, write, lambda seen: not to_the_end and has_begun(seen.metadata))
    if details.status not in ENDED:
        return 0
    if (code := exit_code(details)) != 0:
        logger.error("job %s: %s, exit code %d", submitted.job, details.status, code)
    return code


def has_begun(metadata: Mapping[str, str] | None) -> bool:
    """By what a job says of itself: one that failed or was stopped is about to end, with a code to wait for."""
    return not (metadata or {}).get(STATE, CHECKING).startswith((CHECKING, FAILED, STOPPED))


def _known(client: JobSubmissionClient) -> dict[str, str]:
    return {job.submission_id: str(job.status.value) for job in client.list_jobs() if job.submission_id}


def _begin(
    client: JobSubmissionClient, recipe: Recipe, options: Sequence[str], named: str, metadata: dict[str, str]
) -> str:
    """Packs and submits `fireact_ray.cli.job` with this recipe and these options; returns the job's id."""
    resolved = to_yaml(recipe)
    if redact(resolved) != resolved:
        raise InputError(
            "The resolved recipe holds what looks like a key, and everybody who sees the cluster would see it. Name a "
            "variable (api_key_env) or a file (api_key_file) instead."
        )
    with tempfile.TemporaryDirectory(prefix="fireact-job-") as folder:
        package = pack(Path(folder), resolved, GCS_STORAGE_MAX_SIZE)
        logger.info("submit: %s, code %s", package, package.code)
        return _taken(
            client,
            entrypoint=shlex.join(["python", "-m", "fireact_ray.cli.job", "--recipe", RECIPE, *options]),
            submission_id=named,
            runtime_env={"working_dir": folder, "env_vars": _PLAIN_ENV},
            metadata={**metadata, "fireact_code": package.code},
        )


def _taken(client: JobSubmissionClient, **job: Any) -> str:
    """A head that has just started has no agent yet that could begin a job: it is asked for a minute."""
    until = time.monotonic() + _AGENT_S
    while True:
        try:
            taken: str = client.submit_job(**job)
            return taken
        except RuntimeError as error:
            if "No available agent" not in str(error) or time.monotonic() > until:
                raise _refusal(job["submission_id"], str(error)) from None
        time.sleep(_AGAIN_S)


def _refusal(named: str, said: str) -> InputError:
    if "already exists" in said:
        return InputError(
            f"The job {named} has just been begun by somebody else: Ray takes each id once. Look at it, and give the "
            "same command again when it has ended."
        )
    return InputError(f"The cluster did not take the job {named}: {' '.join(said.split())[:500]}")
