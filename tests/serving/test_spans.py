"""Questions as spans, with OpenTelemetry's own SDK: names, times, parents; and no content."""

import pytest
from fakes import FINISH, SEARCH
from served import ASKED, CHAT, MODEL, client

from fireact_ray.core.errors import ModelUnavailable
from fireact_ray.serving import spans

sdk = pytest.importorskip("opentelemetry.sdk.trace")
from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: E402 (where it is there)
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter  # noqa: E402

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
DOWN = "Thought: t\nAction: search[down]"


@pytest.fixture
def told(monkeypatch):
    exporter, provider = InMemorySpanExporter(), sdk.TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(spans.trace, "get_tracer", lambda name: provider.get_tracer(name))
    return exporter.get_finished_spans


async def posted(*replies, headers=None):
    async with client(*replies) as http:
        return await http.post("/v1/chat/completions", json=CHAT, headers=headers or {})


async def test_a_question_is_a_span_and_so_is_each_reply_and_search(told):
    reply = await posted(SEARCH, FINISH, headers={"traceparent": f"00-{TRACE}-{CALLER}-01"})
    asked, *parts = sorted(told(), key=lambda span: (span.parent.span_id != int(CALLER, 16), span.start_time))
    assert asked.name == f"invoke_agent {MODEL}"
    assert (f"{asked.context.trace_id:032x}", f"{asked.parent.span_id:016x}") == (TRACE, CALLER)
    assert dict(asked.attributes) == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": "fireact_ray",
        "gen_ai.agent.name": MODEL,
        "http.route": "/v1/chat/completions",
        "fireact.request_id": TRACE,
        "fireact.key": "",
        "gen_ai.response.finish_reasons": ("finished",),
        "gen_ai.usage.input_tokens": 20,
        "gen_ai.usage.output_tokens": 10,
        "fireact.trajectory_id": reply.json()["fireact"]["trajectory_id"],
    }
    assert [span.name for span in parts] == [f"chat {MODEL}", "execute_tool search", f"chat {MODEL}"]
    assert {span.parent.span_id for span in parts} == {asked.context.span_id}
    assert all(span.start_time <= span.end_time <= asked.end_time for span in parts)
    assert parts[0].attributes["gen_ai.usage.output_tokens"] == 5
    everything = " ".join(span.to_json() for span in told())
    assert not any(words in everything for words in (ASKED, "Ila Dun", "author"))


async def test_a_fault_is_an_error_of_its_span(told):
    await posted(DOWN, ModelUnavailable("m"))
    by_name = {span.name: span for span in told()}
    assert by_name["execute_tool search"].attributes["error.type"] == "tool_error"
    asked = by_name[f"invoke_agent {MODEL}"]
    assert (asked.attributes["error.type"], asked.status.is_ok) == ("model_error", False)
    assert asked.parent is None
