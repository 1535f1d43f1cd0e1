"""Train a hosted student: the run's dataset as a training file -> a provider's fine-tuned model, named in hosted/.

hosted/inputs.json    the settings and the file that shape the model
       training.jsonl what is uploaded
       job.json       the journal: which step was begun, which has ended
       events.jsonl   what the provider said of the job on the way
       model.json     the trained model's name; written last
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any

from fireact_ray.core.errors import InputError, ModelDenied, ModelUnknown
from fireact_ray.core.json_text import parse
from fireact_ray.core.storage.artifacts import MANIFEST
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.inputs import lock_inputs
from fireact_ray.core.storage.lease import leased
from fireact_ray.core.utils.progress import Steps
from fireact_ray.core.utils.text import count_text, usd_text
from fireact_ray.data.examples import conversation
from fireact_ray.data.formats.openai_ft import training_lines
from fireact_ray.recipe.hosted import (
    MODEL,
    base_url,
    checked_text,
    estimate_of,
    host_of,
    hosted_home,
    hosted_student,
    job_settings,
    model_card,
    open_api,
)
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.students import HostedStudentConfig
from fireact_ray.stages.export_file import read_selected
from fireact_ray.training.hosted.client import FineTuningApi
from fireact_ray.training.hosted.forecast import closing_notice, demand_affordable, demand_open
from fireact_ray.training.hosted.job import Job, JobEvent, TrainingFile
from fireact_ray.training.hosted.journal import State, read_state
from fireact_ray.training.hosted.tuning import tune

_FILE = "training.jsonl"
_EVENTS = "events.jsonl"

logger = logging.getLogger(__name__)


@leased("fireact train")
def train_hosted(recipe: Recipe) -> Folder:
    """Upload, start a job and follow it to its end; returns the folder that names the model. No Ray, no torch.

    Raises InputError for a missing dataset or key and for a provider that takes no such job, DataError for a file that
    it would refuse, BudgetExhausted where the estimate passes student.max_cost_usd, and what `tune` raises.
    """
    home, student = hosted_home(recipe), hosted_student(recipe)
    file = _training_file(recipe)
    state = read_state(home)
    lock_inputs(home, _inputs(recipe, file), is_empty=state is None or not state.may_have_job)
    if home.exists(MODEL):
        logger.info("train: already done -> %s", home.uri)
        return home
    api = open_api(student)
    if state is None or not state.may_have_job:
        _preflight(recipe)
        home.write(_FILE, file.content)
    try:
        state = asyncio.run(_followed(recipe, api, file, home))
    except KeyboardInterrupt:
        logger.warning("%s", _left_behind(read_state(home), api.host))
        raise
    except ModelDenied as error:
        raise error.reworded(f"{error}. {_next_move(error, student)}") from None
    home.write_json(MODEL, _card(recipe, file, state))
    logger.info("train: -> %s, trained at %s", state.model, api.host)
    return home


def cancel_hosted(recipe: Recipe) -> str:
    """Ask the provider to cancel the run's job; says what became of it. Writes nothing: a command that follows the job
    sees its end.

    Raises InputError where there is no job, or it has ended.
    """
    home, api = hosted_home(recipe), open_api(hosted_student(recipe))
    state = read_state(home)
    if state is None or not state.may_have_job:
        raise InputError(f"{home.uri}: no job is under way there, so there is nothing to cancel.")
    job = asyncio.run(_cancelled(api, state))
    if job is None:
        raise InputError(f"{api.host}: the job that was about to be started is not there; nothing is cancelled.")
    return f"{api.host}: job {job.id} is {job.status}"


async def _cancelled(api: FineTuningApi, state: State) -> Job | None:
    try:
        job = (
            await api.job(state.job_id)
            if state.job_id
            else await api.find_job(state.marker, state.file_id or "", frozenset(state.ended))
        )
        if job is not None and job.has_ended:
            raise InputError(f"{api.host}: job {job.id} has ended as {job.status}; there is nothing to cancel.")
        return None if job is None else await api.cancel(job.id)
    finally:
        await api.close()


def _training_file(recipe: Recipe) -> TrainingFile:
    run = Folder(recipe.run_dir)
    dataset = run / "dataset"
    if not dataset.exists(MANIFEST):
        raise InputError(f"{dataset.uri}: no dataset there. Run `fireact convert` first.")
    content, n_examples = training_lines(map(conversation, read_selected(run)))
    return TrainingFile(content, n_examples)


def _inputs(recipe: Recipe, file: TrainingFile) -> dict[str, Any]:
    settings = asdict(job_settings(recipe))
    return {"student": {**settings, "provider": base_url(hosted_student(recipe))}, "training_file": file.sha256}


def _preflight(recipe: Recipe) -> None:
    """Before anything is sent."""
    student, found = hosted_student(recipe), estimate_of(recipe)
    host = host_of(student)
    demand_open(host, student.name, _today())
    demand_affordable(found, student.max_cost_usd)
    if notice := closing_notice(host):
        logger.warning("%s", notice)
    trained, cost = count_text(found.trained_tokens), usd_text(found.cost_usd)
    logger.info("train: %s at %s, about %s trained tokens, USD %s", student.name, host, trained, cost)


async def _followed(recipe: Recipe, api: FineTuningApi, file: TrainingFile, home: Folder) -> State:
    known = _read_events(home)
    with Steps("train", total=0) as steps:

        def on_events(events: Sequence[JobEvent]) -> None:
            known.extend(asdict(event) for event in events)
            home.write(_EVENTS, "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in known))
            for event in events:
                _show(event, steps)

        try:
            return await tune(
                api,
                file,
                job_settings(recipe),
                home,
                wait=asyncio.sleep,
                poll_every_s=hosted_student(recipe).poll_every_s,
                seen=frozenset(row["id"] for row in known),
                on_events=on_events,
            )
        finally:
            await api.close()


def _read_events(home: Folder) -> list[dict[str, Any]]:
    return [parse(line) for line in home.lines(_EVENTS) if line] if home.exists(_EVENTS) else []


def _show(event: JobEvent, steps: Steps) -> None:
    if event.step is not None:
        steps.set(event.step, event.of or 0, "" if event.loss is None else f"loss {event.loss:.3f}")
        return
    logger.log(logging.INFO if event.level == "info" else logging.WARNING, "train: provider: %s", event.message)


def _next_move(error: ModelDenied, student: HostedStudentConfig) -> str:
    if isinstance(error, ModelUnknown):
        return "Set student.name and student.base_url to what exists there."
    key = student.api_key_file or student.api_key_env or "none (student.api_key_env is null)"
    return f"The key asked with: {key}. Put key, billing or permission right, and run the same command again."


def _left_behind(state: State | None, host: str) -> str:
    """For whoever interrupts: what goes on without this command."""
    if state is None or not state.may_have_job:
        return f"No job was started at {host}, and nothing is paid for."
    known = f"Job {state.job_id} goes on at {host}" if state.job_id else f"A job may have been started at {host}"
    return f"{known}: the same command follows it again, with --cancel it is cancelled."


def _card(recipe: Recipe, file: TrainingFile, state: State) -> dict[str, Any]:
    settings, manifest = asdict(job_settings(recipe)), (Folder(recipe.run_dir) / "dataset").read_json(MANIFEST)
    price = hosted_student(recipe).price_per_million_tokens
    tokens = state.trained_tokens
    return model_card(
        recipe,
        model=state.model,
        job_id=state.job_id,
        file_id=state.file_id,
        file_sha256=file.sha256,
        n_examples=file.n_examples,
        settings=settings,
        dataset_fingerprint=manifest.get("fingerprint"),
        trained_tokens=tokens,
        cost_usd=None if price is None or tokens is None else tokens * price / 1e6,
    )


def hosted_section(recipe: Recipe) -> str:
    """For `fireact plan` and `fireact check`. Raises as `checked_text` does."""
    return checked_text(recipe, _today())


def _today() -> date:
    return datetime.now(UTC).date()
