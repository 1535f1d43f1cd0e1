"""The unmodified SDK of OpenAI against a real server: sync and async, whole and streamed."""

import asyncio

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from served import ASKED, MODEL, REASONING, EndlessModel, by, listening

from fireact_ray.agent.rollout import Limits
from fireact_ray.core.errors import ModelUnavailable
from fireact_ray.serving.app import build_app
from fireact_ray.serving.keys import Keys
from fireact_ray.serving.settings import ServingSettings

pytestmark = pytest.mark.slow

KEY = "fr-0123456789"
ASK = {"model": MODEL, "messages": [{"role": "user", "content": ASKED}]}


class AwayModel(EndlessModel):
    """Searches, and is gone then."""

    async def complete(self, turns, sampling):
        if len(turns) > 1:
            raise ModelUnavailable("m")
        return await super().complete(turns, sampling)


@pytest.fixture(scope="module")
def url():
    agents = {
        MODEL: by(EndlessModel()),
        "short": by(EndlessModel(), limits=Limits(max_steps=1)),
        "away": by(AwayModel()),
    }
    settings = ServingSettings(created={MODEL: 1700000000}, max_question_chars=500)
    with listening(build_app(agents, settings, Keys.of({"sdk": KEY}))) as url:
        yield f"{url}/v1"


@pytest.fixture(scope="module")
def sdk(url):
    with OpenAI(base_url=url, api_key=KEY, max_retries=0, timeout=120) as client:
        yield client


def test_models(sdk):
    assert [model.id for model in sdk.models.list()] == [MODEL, "short", "away"]
    assert sdk.models.retrieve(MODEL).created == 1700000000
    with pytest.raises(openai.NotFoundError, match="not served here"):
        sdk.models.retrieve("gpt-4o")


def test_chat(sdk):
    reply = sdk.chat.completions.create(**ASK)
    assert (reply.choices[0].message.content, reply.choices[0].finish_reason) == ("Ila Dun", "stop")
    assert (reply.choices[0].message.reasoning_content, reply.usage.total_tokens) == (REASONING, 30)
    assert reply._request_id
    type(reply).model_validate(reply.model_dump(warnings=False))


def test_chat_goes_on_with_its_own_reply_as_object_and_as_dict(sdk):
    said = sdk.chat.completions.create(**ASK).choices[0].message
    for earlier in (said, said.model_dump(), said.model_dump(exclude_unset=True)):
        messages = [*ASK["messages"], earlier, {"role": "user", "content": "And who printed it?"}]
        assert sdk.chat.completions.create(model=MODEL, messages=messages).choices[0].message.content == "Ila Dun"


def test_chat_as_a_stream_of_chunks(sdk):
    parts = list(sdk.chat.completions.create(**ASK, stream=True, stream_options={"include_usage": True}))
    assert [part.choices[0].delta.role for part in parts if part.choices] == ["assistant", None, None, None, None]
    assert parts[-1].usage.completion_tokens == 10
    for part in parts:
        type(part).model_validate(part.model_dump(warnings=False))


def test_chat_by_the_streaming_helper_accumulates_one_role_and_one_answer(sdk):
    with sdk.chat.completions.stream(**ASK, stream_options={"include_usage": True}) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    message = final.choices[0].message
    assert (message.role, message.content, message.reasoning_content) == ("assistant", "Ila Dun", REASONING)
    assert (final.choices[0].finish_reason, final.usage.total_tokens) == ("stop", 30)


def test_responses(sdk):
    reply = sdk.responses.create(model=MODEL, input=ASKED)
    assert (reply.output_text, reply.status) == ("Ila Dun", "completed")
    assert [type(item).__name__ for item in reply.output] == [
        "ResponseReasoningItem",
        "ResponseFileSearchToolCall",
        "ResponseReasoningItem",
        "ResponseOutputMessage",
    ]
    assert (reply.usage.total_tokens, reply.usage.searches) == (30, 1)


def test_responses_go_on_with_their_own_output(sdk):
    first = sdk.responses.create(model=MODEL, input=ASKED)
    asked = [{"role": "user", "content": ASKED}, *first.output, {"role": "user", "content": "And who printed it?"}]
    assert sdk.responses.create(model=MODEL, input=asked).output_text == "Ila Dun"
    with pytest.raises(openai.BadRequestError, match="Nothing is stored"):
        sdk.responses.create(model=MODEL, input="And who?", previous_response_id=first.id)


def test_responses_as_a_stream_are_events_of_the_sdks_own_types(sdk):
    for event in sdk.responses.create(model=MODEL, input=ASKED, stream=True):
        assert type(event).model_validate(event.model_dump(warnings=False)).type == event.type
    assert event.response.output_text == "Ila Dun"


def test_responses_by_the_streaming_helper(sdk):
    with sdk.responses.stream(model=MODEL, input=ASKED) as stream:
        said = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        final = stream.get_final_response()
    assert (said, final.output_text, len(final.output)) == ("Ila Dun", "Ila Dun", 4)


async def test_the_async_client_does_all_of_it_at_once(url):
    async with AsyncOpenAI(base_url=url, api_key=KEY, max_retries=0, timeout=120) as sdk:

        async def chunked():
            async with sdk.chat.completions.stream(**ASK) as stream:
                return (await stream.get_final_completion()).choices[0].message.content

        async def streamed():
            async with sdk.responses.stream(model=MODEL, input=ASKED) as stream:
                return (await stream.get_final_response()).output_text

        async def whole():
            return (await sdk.chat.completions.create(**ASK)).choices[0].message.content

        assert await asyncio.gather(chunked(), streamed(), whole(), whole()) == ["Ila Dun"] * 4


def test_a_limit_is_length_and_incomplete(sdk):
    assert sdk.chat.completions.create(**{**ASK, "model": "short"}).choices[0].finish_reason == "length"
    reply = sdk.responses.create(model="short", input=ASKED)
    assert (reply.status, reply.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert (reply.fireact["stop_reason"], reply.output_text) == ("max_steps", "")


def test_errors_are_the_sdks_own_classes(sdk, url):
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "x" * 501}])
    assert (refused.value.code, refused.value.param) == ("context_length_exceeded", "messages")
    with pytest.raises(openai.AuthenticationError), OpenAI(base_url=url, api_key="wrong", max_retries=0) as other:
        other.models.list()
    with pytest.raises(openai.InternalServerError) as away:
        sdk.chat.completions.create(**{**ASK, "model": "away"})
    assert (away.value.status_code, away.value.code) == (503, "model_unavailable")
    with pytest.raises(openai.NotFoundError):
        sdk.embeddings.create(model=MODEL, input=ASKED)


def test_a_fault_in_a_stream_is_raised_and_never_a_silent_end(sdk):
    with pytest.raises(openai.APIError, match="not available"):
        list(sdk.chat.completions.create(**{**ASK, "model": "away"}, stream=True))
    events = list(sdk.responses.create(model="away", input=ASKED, stream=True))
    assert (events[-1].type, events[-1].response.error.code) == ("response.failed", "model_unavailable")
    assert [item.type for item in events[-1].response.output] == ["reasoning", "file_search_call"]
