"""Questions as spans of OpenTelemetry, named by its conventions for generative AI (in development, as of 1.41).

    invoke_agent <model id>         a question, from its start to its end
        chat <model>                a reply of the model
        execute_tool <tool>         a search

They cost nothing until a process has a tracer provider, as Ray's tracing startup hook or `opentelemetry-instrument` set
one up. A caller's `traceparent` is gone on with. What is asked, searched and answered is in none of them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from fireact_ray.core.types import ObservationStatus, Outcome, Step, Trajectory
from fireact_ray.serving.settings import Asking, Hooks

_PROVIDER = "fireact_ray"
_NS = 1_000_000_000


def with_spans(hooks: Hooks) -> Hooks:
    """The same, and spans beside them."""
    spans = Spans()

    def on_start(asking: Asking) -> None:
        spans.start(asking)
        hooks.on_start(asking)

    def on_step(asking: Asking, step: Step) -> None:
        spans.step(asking, step)
        hooks.on_step(asking, step)

    def on_end(asking: Asking, trajectory: Trajectory | None) -> None:
        spans.end(asking, trajectory)
        hooks.on_end(asking, trajectory)

    return replace(hooks, on_start=on_start, on_step=on_step, on_end=on_end)


class Spans:
    def __init__(self, tracer: trace.Tracer | None = None) -> None:
        self._tracer = tracer or trace.get_tracer(_PROVIDER)
        self._running: dict[int, Span] = {}  # by the identity of their Asking: a caller may use a trace id twice

    def start(self, asking: Asking) -> None:
        attributes = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.provider.name": _PROVIDER,
            "gen_ai.agent.name": asking.model,
            "http.route": asking.route,
            "fireact.request_id": asking.trace_id,
            "fireact.key": asking.key,
        }
        caller = TraceContextTextMapPropagator().extract({"traceparent": asking.traceparent})
        name = f"invoke_agent {asking.model}"
        self._running[id(asking)] = self._tracer.start_span(name, caller, SpanKind.SERVER, attributes)

    def step(self, asking: Asking, step: Step) -> None:
        """It has just ended, so its parts end now and where they say that they began."""
        if not self._running[id(asking)].is_recording():
            return
        now = time.time_ns()
        searched = now - int(step.tool_latency_s * _NS)
        usage = {
            "gen_ai.usage.input_tokens": step.usage.prompt_tokens,
            "gen_ai.usage.output_tokens": step.usage.completion_tokens,
        }
        self._part(asking, "chat", asking.model, searched - int(step.model_latency_s * _NS), searched, usage)
        if step.action is not None and step.observation is not None:
            tool = {"gen_ai.tool.name": step.action.tool, "gen_ai.tool.type": "datastore"}
            failed = step.observation.status is ObservationStatus.ERROR
            self._part(asking, "execute_tool", step.action.tool, searched, now, tool, failed)

    def end(self, asking: Asking, trajectory: Trajectory | None) -> None:
        """`trajectory` None: its caller went away, or it failed without a word of its own."""
        span = self._running.pop(id(asking))
        reason = "cancelled" if trajectory is None else str(trajectory.stop_reason)
        span.set_attribute("gen_ai.response.finish_reasons", [reason])
        if trajectory is not None:
            span.set_attribute("gen_ai.usage.input_tokens", trajectory.usage.prompt_tokens)
            span.set_attribute("gen_ai.usage.output_tokens", trajectory.usage.completion_tokens)
            span.set_attribute("fireact.trajectory_id", trajectory.trajectory_id)
        if trajectory is None or trajectory.stop_reason.outcome is Outcome.FAILED:
            span.set_attribute("error.type", reason)
            span.set_status(Status(StatusCode.ERROR))
        span.end()

    def _part(
        self,
        asking: Asking,
        operation: str,
        of: str,
        start: int,
        end: int,
        told: Mapping[str, str | int],
        failed: bool = False,
    ) -> None:
        within = trace.set_span_in_context(self._running[id(asking)])
        attributes = {"gen_ai.operation.name": operation, "gen_ai.provider.name": _PROVIDER, **told}
        if failed:
            attributes["error.type"] = "tool_error"
        kind = SpanKind.CLIENT if operation == "chat" else SpanKind.INTERNAL
        span = self._tracer.start_span(f"{operation} {of}", within, kind, attributes, start_time=start)
        if failed:
            span.set_status(Status(StatusCode.ERROR))
        span.end(end)
