"""The scripted teacher over real HTTP on loopback: OpenAI's client gets what it expects, faults included."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from fireact_ray.agent.methods import make_method
from fireact_ray.core.errors import InputError
from fireact_ray.core.types import Question
from fireact_ray.demo.teacher.__main__ import main
from fireact_ray.demo.teacher.calls import read_calls
from fireact_ray.demo.teacher.faults import Fault, FaultRates, Latency
from fireact_ray.demo.teacher.malformed import SHAPES
from fireact_ray.demo.teacher.protocol import ChatRequest, count_tokens
from fireact_ray.demo.teacher.server import ScriptedTeacher

pytestmark = pytest.mark.slow

ADD = "What does 3+4 come to?"
REPLY = "Thought: No search is needed. 3+4=7. The answer is 7.\nAction: finish[7]"


def chat(text: str = ADD, **parameters: Any) -> dict[str, Any]:
    turns = make_method("react", "almanac").turns(Question("almanac", "q", text, ()), [])
    messages = [{"role": turn.role, "content": turn.content} for turn in turns]
    return {"model": "scripted-teacher", "messages": messages, **parameters}


def client_of(teacher: ScriptedTeacher, **options: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=teacher.base_url, **{"api_key": "any", "max_retries": 0, **options})


def post(teacher: ScriptedTeacher, body: dict[str, Any]) -> tuple[str, bytes]:
    """The content type and the body of a reply with status 200."""
    request = urllib.request.Request(f"{teacher.base_url}/chat/completions", json.dumps(body).encode())
    with urllib.request.urlopen(request) as response:
        return response.headers["Content-Type"], response.read()


@pytest.fixture(scope="module")
def teacher() -> Iterator[ScriptedTeacher]:
    config = {"error_rate": 0.0, "memory": 0.35, "latency_median_s": 0.0, "latency_sigma": 0.0}
    with ScriptedTeacher.from_config(config, seed=0) as running:
        yield running


@pytest.fixture
def client(teacher: ScriptedTeacher) -> Iterator[openai.OpenAI]:
    with client_of(teacher) as made:
        yield made


def test_a_completion_has_the_shape_that_openais_client_expects(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(**chat())
    assert reply.choices[0].message.content == REPLY
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage is not None and reply.usage.completion_tokens == 24
    assert reply.usage.prompt_tokens == sum(count_tokens(message["content"]) for message in chat()["messages"])
    assert [model.id for model in client.models.list()] == ["scripted-teacher"]


def test_a_stream_carries_the_same_text_and_usage(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(**chat("What does 2+9+4 come to?"))
    stream = client.chat.completions.create(
        **chat("What does 2+9+4 come to?"), stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == whole.choices[0].message.content
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].usage == whole.usage
    assert {chunk.id for chunk in chunks} == {whole.id}


def test_a_stream_without_usage_asked_for_has_none(client: openai.OpenAI) -> None:
    assert all(chunk.usage is None for chunk in client.chat.completions.create(**chat(), stream=True))


@pytest.mark.parametrize(
    ("parameters", "text", "finish_reason"),
    [
        ({"stop": ["\nAction:"]}, "Thought: No search is needed. 3+4=7. The answer is 7.", "stop"),
        ({"stop": "search"}, "Thought: No ", "stop"),
        ({"max_tokens": 4}, "Thought: No search", "length"),
        ({"max_completion_tokens": 24}, REPLY, "stop"),
        ({"max_tokens": 4, "stop": ["No"]}, "Thought: ", "stop"),
    ],
)
def test_stop_strings_and_token_limits_cut_the_reply(
    client: openai.OpenAI, parameters: dict[str, Any], text: str, finish_reason: str
) -> None:
    choice = client.chat.completions.create(**chat(**parameters)).choices[0]
    assert (choice.message.content, choice.finish_reason) == (text, finish_reason)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "wizard", "content": "?"}]}, "messages.0.role"),
        ({"temperature": 3.0}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"n": 2}, "n: "),
    ],
)
def test_a_bad_request_gets_a_400_that_names_the_parameter(
    client: openai.OpenAI, wrong: dict[str, Any], named: str
) -> None:
    with pytest.raises(openai.BadRequestError, match=named):
        client.chat.completions.create(**{**chat(), **wrong})


def test_stats_count_calls_and_tokens() -> None:
    with ScriptedTeacher() as teacher, client_of(teacher) as client:
        usages = [client.chat.completions.create(**chat(text)).usage for text in (ADD, "What does 5+6 come to?")]
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(**chat(temperature=9.0))
        with urllib.request.urlopen(f"http://127.0.0.1:{teacher.port}/stats") as response:
            assert json.load(response) == teacher.stats()
    assert teacher.stats() == {
        "requests": 3,
        "calls": {"200": 2, "400": 1},
        "in_flight": 0,
        "peak_in_flight": 1,
        "prompt_tokens": sum(usage.prompt_tokens for usage in usages if usage),
        "completion_tokens": 48,
    }


async def test_requests_are_served_at_the_same_time() -> None:
    with ScriptedTeacher(latency=Latency(median_s=0.2)) as teacher:
        client = openai.AsyncOpenAI(base_url=teacher.base_url, api_key="any", max_retries=0)
        await asyncio.gather(*(client.chat.completions.create(**chat(f"{n}+1=")) for n in range(1, 21)))
        await client.close()
    assert teacher.stats()["peak_in_flight"] == 20


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fault", "error", "counted"),
    [
        (Fault.RATE_LIMITED, openai.RateLimitError, "429"),
        (Fault.SERVER_ERROR, openai.InternalServerError, "500"),
        (Fault.RESET, openai.APIConnectionError, "reset"),
        (Fault.HANG, openai.APITimeoutError, "hang"),
        (Fault.TRUNCATED, openai.APIConnectionError, "truncated"),
    ],
)
def test_each_fault_reaches_the_client_as_it_would_from_a_real_server(
    fault: Fault, error: type[Exception], counted: str, stream: bool
) -> None:
    with (
        ScriptedTeacher(faults=FaultRates(**{fault: 1.0})) as teacher,
        client_of(teacher, timeout=1.0 if fault is Fault.HANG else 60) as client,
        pytest.raises(error),
    ):
        list(client.chat.completions.create(**chat(), stream=stream))
    assert teacher.stats()["calls"] == {counted: 1}
    assert teacher.stats()["in_flight"] == 0


def test_a_malformed_reply_is_a_200_whose_shape_is_fixed_by_the_request_and_how_often_it_came() -> None:
    def bodies() -> list[tuple[str, bytes]]:
        with ScriptedTeacher(faults=FaultRates(malformed=1.0)) as teacher:
            return [post(teacher, chat(f"What does {n % 40}+1 come to?")) for n in range(80)]

    first = bodies()
    assert bodies() == first
    assert first[:40] != first[40:]
    assert {"text/html", "application/json"} == {content_type for content_type, _ in first}
    assert (b"" in {body for _, body in first}) and len({body for _, body in first}) > 50


def test_a_malformed_stream_ends_within_its_first_event() -> None:
    rates = FaultRates(malformed=1.0)
    with (
        ScriptedTeacher(faults=rates) as teacher,
        client_of(teacher) as client,
        pytest.raises(json.JSONDecodeError),
    ):
        list(client.chat.completions.create(**chat(), stream=True))


def test_every_shape_of_a_malformed_reply_comes_about_as_often() -> None:
    drawn = [FaultRates(malformed=1.0).draw_shape(str(i), 0) for i in range(12_000)]
    assert len(SHAPES) == 12
    assert all(850 < drawn.count(shape) < 1150 for shape in SHAPES)


def test_a_429_says_when_to_come_back() -> None:
    rates = FaultRates(rate_limited=1.0, retry_after_s=7)
    with ScriptedTeacher(faults=rates) as teacher, client_of(teacher) as client:
        with pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(**chat())
        assert caught.value.response.headers["Retry-After"] == "7"
        assert caught.value.code == "rate_limit_exceeded"


def test_the_same_run_meets_the_same_faults_and_a_retry_is_another_draw() -> None:
    def outcomes() -> list[int]:
        found = []
        rates = FaultRates(server_error=0.5, seed=1)
        with ScriptedTeacher(faults=rates) as teacher, client_of(teacher) as client:
            for _ in range(12):
                try:
                    client.chat.completions.create(**chat())
                    found.append(200)
                except openai.InternalServerError:
                    found.append(500)
        return found

    first = outcomes()
    assert set(first) == {200, 500}
    assert outcomes() == first


def test_faults_come_at_their_rates_and_latencies_around_their_median() -> None:
    rates = FaultRates(rate_limited=0.2, hang=0.1, truncated=0.05)
    drawn = [rates.draw(str(i), 0) for i in range(4000)]
    assert [round(drawn.count(f) / 4000, 2) for f in (Fault.RATE_LIMITED, Fault.HANG, Fault.TRUNCATED)] == [
        pytest.approx(rate, abs=0.02) for rate in (0.2, 0.1, 0.05)
    ]
    latencies = sorted(Latency(median_s=2.0, sigma=0.5).draw_s(str(i)) for i in range(1000))
    assert latencies[500] == pytest.approx(2.0, rel=0.1)
    assert latencies[-1] > 6
    assert Latency(median_s=0.3).draw_s("any") == 0.3


def test_a_share_of_the_requests_stalls_and_always_the_same_ones() -> None:
    plain, stalling = Latency(2.0, 0.5), Latency(2.0, 0.5, stall_rate=0.02, stall_factor=6.0)
    ratios = [round(stalling.draw_s(str(i)) / plain.draw_s(str(i)), 9) for i in range(5000)]
    assert set(ratios) == {1.0, 6.0}
    assert 60 < ratios.count(6.0) < 140
    assert [round(stalling.draw_s(str(i)) / plain.draw_s(str(i)), 9) for i in range(5000)] == ratios


def test_a_stall_rate_that_is_no_share_is_refused() -> None:
    with pytest.raises(InputError, match="a rate from 0 to 1"):
        Latency(stall_rate=1.5)
    assert main(["--stall-rate", "2"]) == 2


def test_rates_above_one_are_refused() -> None:
    with pytest.raises(InputError, match="at most 1 in total"):
        FaultRates(hang=0.6, reset=0.6)


def test_a_wrong_key_is_refused_where_one_is_asked_for() -> None:
    with ScriptedTeacher(api_key="right") as teacher:
        with client_of(teacher, api_key="wrong") as client, pytest.raises(openai.AuthenticationError):
            client.chat.completions.create(**chat())
        with client_of(teacher, api_key="right") as client:
            assert client.chat.completions.create(**chat()).choices[0].message.content == REPLY


def test_a_port_in_use_is_named_with_the_next_move(teacher: ScriptedTeacher, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(InputError, match=rf"Port {teacher.port} of 127.0.0.1 is in use\..* port 0"):
        ScriptedTeacher(port=teacher.port)
    assert main(["--port", str(teacher.port)]) == 2
    assert f"Port {teacher.port}" in caplog.text


def test_closing_twice_is_harmless_and_gives_the_port_back() -> None:
    teacher = ScriptedTeacher()
    teacher.close()
    teacher.close()
    ScriptedTeacher(port=teacher.port).close()


def test_the_calls_file_holds_a_line_per_call(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    with ScriptedTeacher(latency=Latency(median_s=0.01), calls_file=path) as server, client_of(server) as made:
        made.chat.completions.create(**chat())
        made.chat.completions.create(**chat("What does 2+9+4 come to?"))
        with pytest.raises(openai.NotFoundError):
            made.chat.completions.create(**{**chat(), "model": "another"})
    first, second, refused = read_calls(path)
    assert first.request == ChatRequest(**chat()).hash
    assert (first.outcome, first.drawn_s) == ("200", 0.01)
    assert first.came_at_s + 0.01 <= first.left_at_s <= second.left_at_s
    assert (refused.outcome, refused.drawn_s) == ("404", 0.0)
