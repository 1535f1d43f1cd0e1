import json

import pytest
from fakes import FINISH, SEARCH, agent, question
from pydantic import ValidationError

from fireact_ray.agent.rollout import Limits
from fireact_ray.core.types import Trajectory
from fireact_ray.serving.chat_api import ChatRequest, ChunkWriter, completion_body

REASONING = (
    "Thought: I need the author.\nAction: search[The Road to Zem author]\n"
    "Observation: The Road to Zem is a novel by Ila Dun.\n"
    "Thought: Ila Dun wrote it.\nAction: finish[Ila Dun]\n"
)


def events(text: str) -> list:
    return [json.loads(e.removeprefix("data: ")) for e in text.split("\n\n") if e and e != "data: [DONE]"]


async def test_content_is_the_answer_alone_and_steps_are_reasoning():
    body = completion_body(await agent(SEARCH, FINISH).run(question()), "fireact/demo")
    choice = body["choices"][0]
    assert choice["message"] == {"role": "assistant", "content": "Ila Dun", "reasoning_content": REASONING}
    assert choice["finish_reason"] == "stop"
    assert body["usage"] == {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30}
    assert body["fireact"]["n_searches"] == 1


async def test_an_open_question_says_so():
    body = completion_body(await agent(SEARCH, limits=Limits(max_steps=1)).run(question()), "m")
    assert body["choices"][0]["message"]["content"] == ""
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["fireact"]["stop_reason"] == "max_steps"


async def test_a_stream_adds_up_to_the_whole_reply():
    chunks, text = ChunkWriter("m", include_usage=True), ""
    async for event in agent(SEARCH, FINISH).stream(question()):
        text += chunks.end(event) if isinstance(event, Trajectory) else chunks.step(event)
    assert text.endswith("data: [DONE]\n\n")
    parsed = events(text)
    deltas = [e["choices"][0]["delta"] for e in parsed if e["choices"]]
    assert "".join(d.get("reasoning_content", "") for d in deltas) == REASONING
    assert "".join(d.get("content", "") for d in deltas) == "Ila Dun"
    assert [e["choices"][0]["finish_reason"] for e in parsed if e["choices"]] == [None, None, None, "stop"]
    assert parsed[-1]["usage"]["total_tokens"] == 30
    assert len({e["id"] for e in parsed}) == 1


@pytest.mark.parametrize("field", ["base_url", "api_base", "chat_template", "extra_headers"])
def test_a_client_cannot_steer_the_server(field):
    with pytest.raises(ValidationError, match=field):
        ChatRequest.model_validate({"model": "m", "messages": [{"role": "user", "content": "q"}], field: "x"})


def test_the_last_user_message_is_the_question():
    said = [("user", "first"), ("assistant", "a"), ("user", " second ")]
    request = ChatRequest.model_validate({"model": "m", "messages": [{"role": r, "content": c} for r, c in said]})
    assert request.question == "second"
