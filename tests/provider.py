"""A provider of OpenAI's fine-tuning protocol on loopback: files, jobs, events, and the chat of what it has trained.

It trains by whatever function it is given, in a thread as slow as that function is; without one a job takes the course
that a test writes down. Faults are ordered by the name of an endpoint, one for each request to it.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Messages = list[dict[str, Any]]
Chat = Callable[[Messages], str]
Trainer = Callable[[list[Messages], dict[str, Any], Callable[[int, int, float], None]], Chat]

SUCCEEDED = {"status": "succeeded", "fine_tuned_model": "ft:small:house::1", "trained_tokens": 4200}


@dataclass
class Provider:
    """`course`: what a job says at each look, merged into what it said before; the last stays. `faults`: for an
    endpoint ("upload", "file", "start", "jobs", "job", "events", "chat") what comes instead of its answers: a
    status, a response, "reset" (cut off before anything happened) or "lost" (cut off behind the effect).
    `forgets`: gives no metadata back. `events`: (seconds, message, data) of every job."""

    train: Trainer | None = None
    api_key: str | None = None
    course: list[dict[str, Any]] = field(default_factory=lambda: [{"status": "running"}, SUCCEEDED])
    faults: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    events: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)
    forgets: bool = False
    max_bytes: int = 2**26
    page: int = 2
    asked: Counter[str] = field(default_factory=Counter)
    started: list[dict[str, Any]] = field(default_factory=list)  # bodies
    chats: list[dict[str, Any]] = field(default_factory=list)  # bodies
    file_status: list[str] = field(default_factory=lambda: ["processed"])  # at each look
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    models: dict[str, Chat] = field(default_factory=dict)
    base_url: str = ""

    def __enter__(self) -> Provider:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="provider", daemon=True)
        self._thread.start()
        self._runner = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> web.AppRunner:
        app = web.Application(client_max_size=2**28)
        handlers = {
            "POST /files upload": self._upload,
            "GET /files files": self._list_files,
            "GET /files/{id} file": self._file,
            "POST /fine_tuning/jobs start": self._create,
            "GET /fine_tuning/jobs jobs": self._list_jobs,
            "GET /fine_tuning/jobs/{id} job": self._job,
            "GET /fine_tuning/jobs/{id}/events events": self._events,
            "POST /fine_tuning/jobs/{id}/cancel cancel": self._cancel,
            "POST /chat/completions chat": self._chat,
        }
        for route, handler in handlers.items():
            method, path, name = route.split()
            app.router.add_route(method, f"/v1{path}", self._guarded(name, handler))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner

    def _guarded(self, name: str, handler: Any) -> Any:
        async def guarded(request: web.Request) -> web.StreamResponse:
            self.asked[name] += 1
            if self.api_key is not None and request.headers.get("Authorization") != f"Bearer {self.api_key}":
                return refusal(401, "Incorrect API key provided.", "invalid_api_key")
            fault = self.faults[name].pop(0) if self.faults[name] else None
            if isinstance(fault, int):
                return refusal(fault, "as the test orders")
            if isinstance(fault, web.Response):
                return fault
            answer = None if fault == "reset" else await handler(request)
            if fault in ("reset", "lost"):
                assert request.transport is not None
                request.transport.close()
                return web.Response()
            return answer

        return guarded

    async def _upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        assert form["purpose"] == "fine-tune"
        content = form["file"].file.read()
        if len(content) > self.max_bytes:
            return refusal(413, "The file is larger than this provider takes.")
        number = f"file-{len(self.files) + 1}"
        self.contents[number] = content
        row = {"id": number, "object": "file", "bytes": len(content), "filename": form["file"].filename}
        self.files[number] = {**row, "created_at": 1, "purpose": "fine-tune"}
        return self._show_file(number)

    def _show_file(self, number: str) -> web.Response:
        status = self.file_status.pop(0) if len(self.file_status) > 1 else self.file_status[0]
        details = "line 3 has no messages" if status == "error" else None
        return web.json_response({**self.files[number], "status": status, "status_details": details})

    async def _file(self, request: web.Request) -> web.Response:
        return self._show_file(request.match_info["id"])

    async def _list_files(self, request: web.Request) -> web.Response:
        return self._page(request, [{**row, "status": "processed"} for row in reversed(self.files.values())])

    async def _create(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.started.append(body)
        number = f"ftjob-{len(self.jobs) + 1}"
        self.jobs[number] = {
            "id": number,
            "object": "fine_tuning.job",
            "created_at": 1,
            "model": body["model"],
            "training_file": body["training_file"],
            "status": "validating_files",
            "fine_tuned_model": None,
            "error": None,
            "finished_at": None,
            "trained_tokens": None,
            "hyperparameters": body["method"]["supervised"]["hyperparameters"],
            "organization_id": "house",
            "result_files": [],
            "seed": body.get("seed", 0),
            **({} if self.forgets else {"metadata": body.get("metadata")}),
        }
        if self.train is not None:
            threading.Thread(target=self._train, args=(number, body), name="training", daemon=True).start()
        return web.json_response(self.jobs[number])

    def _train(self, number: str, body: dict[str, Any]) -> None:
        rows = [json.loads(line)["messages"] for line in self.contents[body["training_file"]].splitlines()]
        job = self.jobs[number]
        job["status"] = "running"

        def on_step(step: int, of: int, loss: float) -> None:
            data = {"step": step, "total_steps": of, "train_loss": loss}
            self.events.append((step, f"Step {step}/{of}", data))

        assert self.train is not None
        try:
            chat = self.train(rows, job["hyperparameters"], on_step)
        except Exception as error:  # noqa: BLE001 (a provider says so, and goes on)
            job |= {"status": "failed", "error": {"code": "server_error", "message": str(error), "param": None}}
            return
        name = f"ft:{body['model']}:house:{body.get('suffix') or ''}:{number[-1]}"
        self.models[name] = chat
        job |= {"status": "succeeded", "fine_tuned_model": name, "trained_tokens": 4200, "finished_at": 2}

    async def _job(self, request: web.Request) -> web.Response:
        if (number := request.match_info["id"]) not in self.jobs:
            return refusal(404, f"No such job: {number}")
        job = self.jobs[number]
        if self.train is None and job["status"] != "cancelled":
            job |= self.course.pop(0) if len(self.course) > 1 else self.course[0]
        return web.json_response(job)

    async def _list_jobs(self, request: web.Request) -> web.Response:
        return self._page(request, list(reversed(self.jobs.values())))

    async def _events(self, request: web.Request) -> web.Response:
        rows = [
            {
                "id": f"ftevent-{place}",
                "object": "fine_tuning.job.event",
                "created_at": at,
                "level": "info",
                "message": message,
                "type": "metrics" if data else "message",
                "data": data,
            }
            for place, (at, message, data) in enumerate(self.events)
        ]
        return self._page(request, rows[::-1])

    async def _cancel(self, request: web.Request) -> web.Response:
        job = self.jobs[request.match_info["id"]]
        job |= {"status": "cancelled", "finished_at": 2}
        return web.json_response(job)

    async def _chat(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.chats.append(body)
        if body["model"] not in self.models:
            return refusal(404, f"The model {body['model']} does not exist", "model_not_found")
        text = await asyncio.to_thread(self.models[body["model"]], body["messages"])
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        return web.json_response({"id": "c", "object": "chat.completion", "choices": [choice], "usage": usage})

    def _page(self, request: web.Request, rows: list[dict[str, Any]]) -> web.Response:
        ids = [row["id"] for row in rows]
        start = ids.index(request.query["after"]) + 1 if "after" in request.query else 0
        stop = start + min(self.page, int(request.query.get("limit", 20)))
        return web.json_response({"object": "list", "data": rows[start:stop], "has_more": stop < len(rows)})


def refusal(status: int, message: str, code: str | None = None) -> web.Response:
    return web.json_response({"error": {"message": message, "code": code, "param": None}}, status=status)
