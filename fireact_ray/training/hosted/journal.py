"""What a run folder remembers of its hosted training: `job.json`, written before and after each step.

A step that is begun and not ended may have happened: whoever finds it so looks at the provider before doing it again.
"""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from fireact_ray.core.errors import DataError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.training.hosted.job import Job, TrainingFile

FILE = "job.json"

Phase = Literal["uploading", "uploaded", "starting", "started", "succeeded", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class State:
    """`marker`: of the job that is, or will be, started; `ended`: earlier jobs on this file that came to nothing."""

    phase: Phase
    sha256: str
    marker: str
    file_id: str | None = None
    job_id: str | None = None
    model: str | None = None
    trained_tokens: int | None = None
    error: str = ""
    ended: tuple[str, ...] = ()

    @classmethod
    def of(cls, file: TrainingFile) -> State:
        return cls("uploading", file.sha256, _marker(file.sha256))

    @property
    def may_have_job(self) -> bool:
        """One that was started, is under way or has made a model."""
        return self.phase in ("starting", "started", "succeeded")

    @property
    def came_to_nothing(self) -> bool:
        return self.phase in ("failed", "cancelled")

    def again(self) -> State:
        """Ready for another job on the same file, once one came to nothing."""
        ended = (*self.ended, self.job_id) if self.job_id else self.ended
        return State("uploaded", self.sha256, _marker(self.sha256), self.file_id, ended=ended)

    def after(self, job: Job) -> State:
        """`job` has ended. A status that is not known counts as failed."""
        phase: Phase = "failed"
        if job.status == "succeeded" and job.model:
            phase = "succeeded"
        elif job.status == "cancelled":
            phase = "cancelled"
        return replace(
            self, phase=phase, job_id=job.id, model=job.model, trained_tokens=job.trained_tokens, error=job.error
        )


def read_state(home: Folder) -> State | None:
    """None: nothing was begun. Raises DataError where the file is damaged."""
    if not home.exists(FILE):
        return None
    row: Any = home.read_json(FILE)
    try:
        return State(**{**row, "ended": tuple(row.get("ended", ()))})
    except (TypeError, AttributeError):
        raise DataError(
            f"{home.uri}/{FILE}: not what a hosted training writes. Restore it; without it a job that was started is "
            "not known, and another one would be paid for."
        ) from None


def write_state(home: Folder, state: State) -> State:
    home.write_json(FILE, asdict(state))
    return state


def _marker(sha256: str) -> str:
    return f"{sha256[:12]}-{uuid.uuid4().hex[:12]}"
