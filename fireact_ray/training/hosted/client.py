"""OpenAI's fine-tuning protocol over HTTP: one request per call, typed results, typed failures. Tries nothing twice.

POST /files            GET /files            GET /files/{id}
POST /fine_tuning/jobs GET /fine_tuning/jobs GET /fine_tuning/jobs/{id}[/events]  POST /fine_tuning/jobs/{id}/cancel
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp

from fireact_ray.core.errors import (
    FireActError,
    MalformedReply,
    ModelDenied,
    ModelUnavailable,
    ModelUnknown,
    RateLimited,
    TrainingError,
)
from fireact_ray.core.net.http import HttpReply, HttpSession, NoReply, read_json
from fireact_ray.core.net.provider_errors import error_in, read_words
from fireact_ray.core.net.proxies import proxy_for
from fireact_ray.training.hosted.job import Job, JobEvent, JobSettings, RemoteFile, TrainingFile

_PAGE = 100
_MOST_PAGES = 50  # of a list: what is looked for is among the newest
_UPLOAD_BYTES_PER_S = 250_000  # a slower line does not get a large file through
_ACCOUNT = {"insufficient_quota", "billing_not_active", "billing_hard_limit_reached", "account_deactivated"}
_JOBS = "fine_tuning/jobs"
_NOT_YET = re.compile(r"\bnot (?:yet )?ready\b|still (?:being )?process", re.IGNORECASE)  # of a file just uploaded


class FineTuningApi:
    """`base_url` such as https://api.openai.com/v1. `headers` hold the key, so it does not pickle.

    Its calls raise ModelUnavailable and RateLimited, where another try can help, ModelDenied for key, billing or
    permission, ModelUnknown where there is nothing of that name or no such endpoint, and TrainingError in the
    provider's words for everything else that is refused.
    """

    def __init__(
        self, base_url: str, headers: Mapping[str, str], *, query: Mapping[str, str] | None = None, timeout_s: float
    ) -> None:
        self._base = base_url.rstrip("/")
        self.host = urlsplit(self._base).netloc
        proxy_for(os.environ, self._base)  # an unusable one is said before anything is sent
        self._headers, self._query, self._timeout_s = dict(headers), dict(query or {}), timeout_s
        self._session = HttpSession(timeout_s)

    async def upload(self, file: TrainingFile) -> RemoteFile:
        form = aiohttp.FormData()
        form.add_field("purpose", "fine-tune")
        form.add_field("file", file.content, filename=file.name, content_type="application/jsonl")
        slow = HttpSession(self._timeout_s + len(file.content) / _UPLOAD_BYTES_PER_S)
        try:
            reply = await slow.send("POST", self._url("files"), params=self._query, headers=self._headers, form=form)
        finally:
            await slow.close()
        return RemoteFile.of(self._object(reply, f"the upload of {file.name}"))

    async def file(self, file_id: str) -> RemoteFile:
        return RemoteFile.of(await self._ask("GET", f"files/{_part(file_id)}"))

    async def find_file(self, file: TrainingFile) -> RemoteFile | None:
        """One that was uploaded whole under the name that holds its content's hash."""
        async with aclosing(self._rows("files", {"purpose": "fine-tune"})) as rows:
            async for row in rows:
                found = RemoteFile.of(row)
                whole = found.n_bytes in (None, len(file.content)) and not found.is_broken
                if found.name == file.name and whole:
                    return found
        return None

    async def start(self, settings: JobSettings, file_id: str, marker: str) -> Job:
        return Job.of(await self._ask("POST", _JOBS, body=settings.request(file_id, marker)))

    async def job(self, job_id: str) -> Job:
        return Job.of(await self._ask("GET", f"{_JOBS}/{_part(job_id)}"))

    async def cancel(self, job_id: str) -> Job:
        return Job.of(await self._ask("POST", f"{_JOBS}/{_part(job_id)}/cancel", body={}))

    async def find_job(self, marker: str, file_id: str, not_these: frozenset[str]) -> Job | None:
        """The job with this marker; on a server that forgets metadata, one of this very file."""
        async with aclosing(self._rows(_JOBS, {})) as rows:
            async for row in rows:
                job = Job.of(row)
                ours = job.marker == marker or (job.marker is None and job.training_file == file_id)
                if ours and job.id not in not_these:
                    return job
        return None

    async def new_events(self, job_id: str, seen: frozenset[str]) -> list[JobEvent]:
        """Those that are not `seen` yet, the oldest first. Servers give the newest first, a page at a time."""
        found: list[JobEvent] = []
        async with aclosing(self._rows(f"{_JOBS}/{_part(job_id)}/events", {})) as rows:
            async for row in rows:
                event = JobEvent.of_row(row)
                if event.id in seen:
                    break
                found.append(event)
        found.reverse()
        return sorted(found, key=lambda event: event.at)

    async def close(self) -> None:
        await self._session.close()

    async def _rows(self, path: str, query: Mapping[str, str]) -> AsyncGenerator[dict[str, Any]]:
        """Of all pages, each once: a server that knows no pages sends the first one again."""
        seen: set[str] = set()
        after: dict[str, str] = {}
        for _ in range(_MOST_PAGES):
            page = await self._ask("GET", path, query={**query, "limit": str(_PAGE), **after})
            data = page.get("data")
            if not isinstance(data, list):
                raise MalformedReply(f"{self.host}: the reply to GET {path} holds no list", cause="no list")
            rows = [row for row in data if isinstance(row, dict) and str(row.get("id")) not in seen]
            for row in rows:
                seen.add(str(row.get("id")))
                yield row
            if not rows or page.get("has_more") is not True:
                return
            after = {"after": str(rows[-1].get("id"))}

    async def _ask(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        params = {**self._query, **(query or {})}
        reply = await self._session.send(method, self._url(path), params=params, headers=self._headers, body=body)
        return self._object(reply, f"{method} {path}")

    def _object(self, reply: HttpReply | NoReply, what: str) -> dict[str, Any]:
        if isinstance(reply, NoReply):
            raise ModelUnavailable(f"{self.host}: {what}: {reply.problem}", cause=reply.problem)
        if not 200 <= reply.status < 300:
            raise self._failure(reply, what)
        found = read_json(reply.body)
        if not isinstance(found, dict):
            raise MalformedReply(f"{self.host}: the reply to {what} is no JSON object", cause="no JSON object")
        if "id" not in found and "data" not in found and error_in(found) is not None:
            raise TrainingError(f"{self.host}: {what}: {read_words(reply.body).line(None)}")
        return found

    def _failure(self, reply: HttpReply, what: str) -> FireActError:
        status, words = reply.status, read_words(reply.body)
        said, cause = f"{self.host}: {what}: {words.line(status)}", words.cause(status)
        if status in (401, 402, 403, 407) or words.reasons & _ACCOUNT:
            return ModelDenied(said, cause=cause)
        if status == 429:
            return RateLimited(said, _seconds(reply.headers.get("Retry-After")), cause=cause)
        if status in (408, 409, 425) or status >= 500 or (status == 400 and _NOT_YET.search(words.message)):
            return ModelUnavailable(said, cause=cause)
        if status == 404 or status < 400:
            return ModelUnknown(f"{said}. Nothing of that name there, or no such endpoint", cause=cause)
        return TrainingError(said)

    def _url(self, path: str) -> str:
        return f"{self._base}/{path}"


def _part(name: str) -> str:
    return quote(name, safe=":")


def _seconds(text: str | None) -> float | None:
    try:
        return max(0.0, float(text)) if text else None
    except ValueError:  # a date: the pause is then our own
        return None
