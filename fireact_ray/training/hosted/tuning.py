"""A training file and settings in, a finished job out: upload once, start once, follow to the end.

Each step is journaled before and after (hosted.journal), so that the same call goes on where another was killed, and
pays for nothing twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from fireact_ray.core.errors import (
    DataError,
    MalformedReply,
    ModelDenied,
    ModelUnavailable,
    ModelUnknown,
    TrainingError,
)
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.utils.failpoints import reach
from fireact_ray.training.hosted.client import FineTuningApi
from fireact_ray.training.hosted.job import Job, JobEvent, JobSettings, RemoteFile, TrainingFile
from fireact_ray.training.hosted.journal import FILE, State, read_state, write_state
from fireact_ray.training.hosted.patience import Patience, Wait, once, patiently

OnEvents = Callable[[Sequence[JobEvent]], None]

logger = logging.getLogger(__name__)


async def tune(
    api: FineTuningApi,
    file: TrainingFile,
    settings: JobSettings,
    home: Folder,
    *,
    wait: Wait,
    poll_every_s: float,
    seen: frozenset[str] = frozenset(),
    on_events: OnEvents,
) -> State:
    """The state of a job that has succeeded; `home` holds the journal. `seen`: ids of events that are known already.

    Raises TrainingError in the provider's words where the job failed or was cancelled, and what the api raises; a
    provider out of reach is asked for PATIENCE_S, then ModelUnavailable or RateLimited. Called again after a job that
    came to nothing, it starts another one.
    """
    state = read_state(home)
    if state is not None and state.sha256 != file.sha256:
        if state.may_have_job:
            raise DataError(
                f"{home.uri}: job {state.job_id} is of another training file. Restore it, or use a new run."
            )
        state = None
    if state is None or state.phase == "uploading":
        state = await _uploaded(api, file, home, state, wait)
    if state.came_to_nothing:
        logger.info("train: job %s %s; another one is started", state.job_id, state.phase)
        state = write_state(home, state.again())
    if state.phase in ("uploaded", "starting"):
        state = await _started(api, settings, home, state, wait)
    if state.phase == "started":
        try:
            job = await _ended(api, state, wait, poll_every_s, seen, on_events)
        except ModelUnknown as error:
            raise TrainingError(
                f"{error}. A job was started, and this provider does not know it (any more). To start another one, "
                f"delete {home.uri}/{FILE}."
            ) from None
        state = write_state(home, state.after(job))
        if state.phase != "succeeded":
            raise TrainingError(_why(api, job))
    return state


async def _uploaded(api: FineTuningApi, file: TrainingFile, home: Folder, begun: State | None, wait: Wait) -> State:
    """`begun`: by a command that did not live to see the file's id."""
    stored: RemoteFile | None = None
    if begun is not None:
        stored = await patiently(lambda: api.find_file(file), wait)
    state = begun or write_state(home, State.of(file))
    if stored is None:
        logger.info("train: uploading %d examples, %d bytes, to %s", file.n_examples, len(file.content), api.host)
        stored = await once(lambda: api.upload(file), lambda: api.find_file(file), wait)
    patience, file_id = Patience(wait), stored.id
    while stored.is_unready:
        await patience.pause(ModelUnavailable(f"{api.host}: file {file_id} is {stored.status}"))
        stored = await patiently(lambda: api.file(file_id), wait)
    if stored.is_broken:
        raise TrainingError(f"{api.host}: the uploaded file {file_id} is of no use: {stored.details or stored.status}")
    return write_state(home, replace(state, phase="uploaded", file_id=file_id))


async def _started(api: FineTuningApi, settings: JobSettings, home: Folder, state: State, wait: Wait) -> State:
    file_id, marker, ended = state.file_id or "", state.marker, frozenset(state.ended)
    job: Job | None = None
    if state.phase == "starting":
        job = await patiently(lambda: api.find_job(marker, file_id, ended), wait)
    else:
        state = write_state(home, replace(state, phase="starting"))
    if job is None:
        try:
            job = await once(
                lambda: api.start(settings, file_id, marker), lambda: api.find_job(marker, file_id, ended), wait
            )
        except (TrainingError, ModelDenied):  # a clear no: there is no job, and settings may change
            write_state(home, replace(state, phase="uploaded"))
            raise
    reach("job-started")
    logger.info("train: job %s at %s", job.id, api.host)
    return write_state(home, replace(state, phase="started", job_id=job.id))


async def _ended(
    api: FineTuningApi, state: State, wait: Wait, poll_every_s: float, seen: frozenset[str], on_events: OnEvents
) -> Job:
    job_id, said = state.job_id or "", ""
    unnamed = Patience(wait)
    follow = _Follower(api, job_id, seen, on_events)
    while True:
        job = await patiently(lambda: api.job(job_id), wait)
        await patiently(follow.look, wait)
        if job.status != said:
            said = job.status
            _say_status(job)
        if job.status == "succeeded" and job.model is None:
            await unnamed.pause(ModelUnavailable(f"{api.host}: job {job_id} has succeeded, and names no model yet"))
        elif job.has_ended:
            return job
        else:
            await wait(poll_every_s)


class _Follower:
    """Gives each event of a job on once. A provider whose events cannot be had is asked for them once."""

    def __init__(self, api: FineTuningApi, job_id: str, seen: frozenset[str], on_events: OnEvents) -> None:
        self._api, self._job_id, self._seen, self._on_events = api, job_id, seen, on_events
        self._has_events = True

    async def look(self) -> None:
        if not self._has_events:
            return
        try:
            events = await self._api.new_events(self._job_id, self._seen)
        except (ModelDenied, MalformedReply, TrainingError) as error:  # the job itself goes on
            logger.warning("%s: so this provider gives no events, and no progress is shown", error)
            self._has_events = False
            return
        self._seen |= {event.id for event in events}
        if events:
            self._on_events(events)


def _say_status(job: Job) -> None:
    if job.is_known:
        logger.info("train: job %s is %s", job.id, job.status)
    else:
        logger.warning("train: job %s is '%s', a status that is not known here; it is waited for", job.id, job.status)


def _why(api: FineTuningApi, job: Job) -> str:
    said = f": {job.error}" if job.error else " (the provider says no more)"
    what = "was cancelled" if job.status == "cancelled" else "failed"
    if not job.is_known:
        what = f"ended as '{job.status}', which is not known here"
    return f"{api.host}: job {job.id} {what}{said}. Run the same command again to start another one on the same file."
