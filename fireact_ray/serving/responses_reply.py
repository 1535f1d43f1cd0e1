"""A run as OpenAI's response: an item per thought and search, then the message; and the typed events on its way.

    response.created, response.in_progress
    reasoning           output_item.added, reasoning_summary_part.added, reasoning_summary_text.delta, .done, ...
    file_search_call    output_item.added, file_search_call.in_progress, .searching, .completed, output_item.done
    message             output_item.added, content_part.added, output_text.delta, .done, content_part.done, ...
    response.completed | response.incomplete (a limit) | response.failed (a fault)

A search is a `file_search_call`: its `queries` hold what was searched, its `results` the one text that the agent was
shown. Its `score` is 1: clients that check what they read (the AI SDK) want a number. The last item of each step has an
object `fireact` of its own, on its `output_item.done`.

Whatever limit cut a run, `incomplete_details.reason` is the protocol's one word for a limit: at another one clients ask
again, as for an empty reply (PydanticAI). Which limit it was is `fireact.stop_reason`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fireact_ray.agent.quota.budget import Price
from fireact_ray.core.types import Action, ObservationStatus, Step, StopReason, Usage
from fireact_ray.serving.errors import ApiError
from fireact_ray.serving.runs import Ended, Replied
from fireact_ray.serving.usage import responses_usage

Event = dict[str, Any]


@dataclass
class ResponseWriter:
    """Each method returns the events that come of what happened; `output` holds the items so far.

    `echo`: what of the request a response repeats. `price`: for what a step cost.
    """

    model: str
    echo: Mapping[str, Any]
    price: Price | None = None
    id: str = field(default_factory=lambda: f"resp_{uuid.uuid4().hex}")
    created_at: int = field(default_factory=lambda: int(time.time()))
    output: list[dict[str, Any]] = field(default_factory=list)
    _n_events: int = 0
    _n_steps: int = 0
    _thought_of: int = -1  # the step whose thought is told
    _searching: dict[str, Any] | None = None

    def start(self) -> list[Event]:
        body = self.body("in_progress")
        return self._events([("response.created", {"response": body}), ("response.in_progress", {"response": body})])

    def replied(self, reply: Replied) -> list[Event]:
        """The thought and the search, while the search is under way."""
        if reply.action is None or reply.action.tool != "search":
            return []  # told with what came of it, by `step`
        return self._events([*self._thought(reply.thought, None), *self._search(reply.action)])

    def step(self, step: Step) -> list[Event]:
        facts, told = self._facts(step), []
        is_search = step.action is not None and step.action.tool == "search"
        if self._thought_of != self._n_steps:
            told += self._thought(step.thought, None if is_search else facts)
        if step.action is not None and is_search:
            told += self._search(step.action) if self._searching is None else []
            told += self._found(step, facts)
        self._n_steps += 1
        return self._events(told)

    def end(self, ended: Ended, fireact: Mapping[str, Any]) -> list[Event]:
        told = [*self._unfinished()]
        finished = ended.trajectory.stop_reason is StopReason.FINISHED
        if finished:
            told += self._message(ended.trajectory.answer or "")
        status = "completed" if finished else "incomplete"
        body = {**self.body(status, ended), "fireact": dict(fireact)}
        return self._events([*told, (f"response.{status}", {"response": body})])

    def fail(self, error: ApiError, ended: Ended | None, fireact: Mapping[str, Any]) -> list[Event]:
        body = self.body("failed", ended)
        body["error"] = {"code": error.code or "server_error", "message": error.message}
        if fireact:
            body["fireact"] = dict(fireact)
        return self._events([*self._unfinished(), ("response.failed", {"response": body})])

    def body(self, status: str, ended: Ended | None = None) -> dict[str, Any]:
        """The response object with what of the items there is."""
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created_at,
            "completed_at": int(time.time()) if status == "completed" else None,
            "status": status,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
            "model": self.model,
            "output": [*self.output],
            "usage": None if ended is None else responses_usage(ended),
            **self.echo,
        }

    def _facts(self, step: Step) -> dict[str, Any]:
        is_known = self.price is not None and step.usage != Usage()
        observation = step.observation
        return {
            "step": self._n_steps,
            "action": {"tool": step.action.tool, "argument": step.action.argument} if step.action else None,
            "observation": {"text": observation.text, "status": str(observation.status)} if observation else None,
            "model_seconds": round(step.model_latency_s, 3),
            "tool_seconds": round(step.tool_latency_s, 3),
            "usage": step.usage.to_dict(),
            "cost_usd": self.price.cost_usd(step.usage) if is_known and self.price else None,
        }

    def _thought(self, thought: str, facts: dict[str, Any] | None) -> list[tuple[str, Event]]:
        self._thought_of = self._n_steps
        item = {"id": _new("rs"), "type": "reasoning", "summary": [], "status": "in_progress"}
        part = {"type": "summary_text", "text": thought}
        at = {"item_id": item["id"], "output_index": len(self.output), "summary_index": 0}
        done = {**item, "summary": [part], "status": "completed", **({"fireact": facts} if facts else {})}
        return [
            self._added(item),
            ("response.reasoning_summary_part.added", {**at, "part": {**part, "text": ""}}),
            ("response.reasoning_summary_text.delta", {**at, "delta": thought}),
            ("response.reasoning_summary_text.done", {**at, "text": thought}),
            ("response.reasoning_summary_part.done", {**at, "part": part}),
            self._done(done),
        ]

    def _search(self, action: Action) -> list[tuple[str, Event]]:
        item: dict[str, Any] = {"id": _new("fs"), "type": "file_search_call", "status": "in_progress"}
        self._searching = {**item, "queries": [action.argument], "results": None}
        at = {"item_id": item["id"], "output_index": len(self.output)}
        return [
            self._added(self._searching),
            ("response.file_search_call.in_progress", at),
            ("response.file_search_call.searching", at),
        ]

    def _found(self, step: Step, facts: dict[str, Any]) -> list[tuple[str, Event]]:
        assert self._searching is not None and step.observation is not None
        call, self._searching, observation = self._searching, None, step.observation
        failed = observation.status is ObservationStatus.ERROR
        results = [_result(observation.text)] if observation.status is ObservationStatus.OK else []
        at = {"item_id": call["id"], "output_index": len(self.output)}
        done = {**call, "status": "failed" if failed else "completed", "results": results, "fireact": facts}
        told = [] if failed else [("response.file_search_call.completed", at)]
        return [*told, self._done(done)]

    def _message(self, answer: str) -> list[tuple[str, Event]]:
        item = {"id": _new("msg"), "type": "message", "role": "assistant", "status": "in_progress", "content": []}
        part = {"type": "output_text", "text": answer, "annotations": [], "logprobs": []}
        at = {"item_id": item["id"], "output_index": len(self.output), "content_index": 0}
        return [
            self._added(item),
            ("response.content_part.added", {**at, "part": {**part, "text": ""}}),
            ("response.output_text.delta", {**at, "delta": answer, "logprobs": []}),
            ("response.output_text.done", {**at, "text": answer, "logprobs": []}),
            ("response.content_part.done", {**at, "part": part}),
            self._done({**item, "status": "completed", "content": [part]}),
        ]

    def _unfinished(self) -> list[tuple[str, Event]]:
        """A search that no step came of."""
        call, self._searching = self._searching, None
        return [] if call is None else [self._done({**call, "status": "incomplete", "results": []})]

    def _added(self, item: dict[str, Any]) -> tuple[str, Event]:
        return "response.output_item.added", {"output_index": len(self.output), "item": item}

    def _done(self, item: dict[str, Any]) -> tuple[str, Event]:
        self.output.append(item)
        return "response.output_item.done", {"output_index": len(self.output) - 1, "item": item}

    def _events(self, told: Iterable[tuple[str, Event]]) -> list[Event]:
        events = []
        for kind, fields in told:
            events.append({"type": kind, "sequence_number": self._n_events, **fields})
            self._n_events += 1
        return events


def _result(text: str) -> dict[str, Any]:
    return {"file_id": "", "filename": "", "score": 1.0, "attributes": {}, "vector_store_id": None, "text": text}


def _new(kind: str) -> str:
    return f"{kind}_{uuid.uuid4().hex}"
