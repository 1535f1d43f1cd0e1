"""What a job says of itself, in its metadata: `ray job list`, the dashboard and the job API show it.

Ray knows no way to change a job's metadata. They stand in its key-value store, which its own job supervisor writes to
when a job begins and ends; a job writes in between. Where that is not as it was, a job goes on without.
"""

from __future__ import annotations

import json
import logging
import os

from ray._private.ray_constants import KV_NAMESPACE_JOB
from ray.dashboard.modules.job.common import JobInfoStorageClient
from ray.experimental.internal_kv import _internal_kv_get, _internal_kv_put

from fireact_ray.core.json_text import parse
from fireact_ray.core.secrets import redact

STATE, RESULT = "fireact_state", "fireact_result"
CHECKING, FAILED, STOPPED = "checking", "failed", "stopped"
_LONGEST = 500
_JOB_CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # by which Ray tells a driver whose job it is

logger = logging.getLogger(__name__)


def own_job() -> str | None:
    """The submission id, in the driver of a job; None elsewhere."""
    config = parse(os.environ.get(_JOB_CONFIG) or "{}")
    named: str | None = config.get("metadata", {}).get("job_submission_id")
    return named


def tell(**said: str) -> None:
    """Put these into the metadata of the job whose driver this is; nothing elsewhere. Ray has to be connected."""
    if (job := own_job()) is None:
        return
    key = JobInfoStorageClient.JOB_DATA_KEY.format(job_id=job).encode()
    held = _internal_kv_get(key, namespace=KV_NAMESPACE_JOB)
    if held is None:
        logger.warning("job %s: Ray holds nothing of it, so its metadata say no progress", job)
        return
    info = parse(held)
    news = {name: redact(value)[:_LONGEST] for name, value in said.items()}
    info["metadata"] = {**(info.get("metadata") or {}), **news}
    _internal_kv_put(key, json.dumps(info).encode(), overwrite=True, namespace=KV_NAMESPACE_JOB)
