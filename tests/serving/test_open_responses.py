"""/v1/responses by the Open Responses schema (of 2026-04-24, with the search call of its next version): what each
object must have, as facts of it; and requests of the shapes that its public cases send."""

import pytest
from fakes import FINISH, SEARCH, agent
from served import ASKED, MODEL, chunks, client

NULLABLE = {
    *("completed_at", "incomplete_details", "previous_response_id", "instructions", "error", "usage", "reasoning"),
    *("max_output_tokens", "max_tool_calls", "safety_identifier", "prompt_cache_key"),
}
RESPONSE = {
    "id": str, "object": str, "created_at": int, "completed_at": int, "status": str, "incomplete_details": dict,
    "model": str, "previous_response_id": str, "instructions": str, "output": list, "error": dict, "tools": list,
    "tool_choice": str, "truncation": str, "parallel_tool_calls": bool, "text": dict, "top_p": float,
    "presence_penalty": float, "frequency_penalty": float, "top_logprobs": int, "temperature": (int, float),
    "reasoning": dict, "usage": dict, "max_output_tokens": int, "max_tool_calls": int, "store": bool,
    "background": bool, "service_tier": str, "metadata": dict, "safety_identifier": str, "prompt_cache_key": str,
}  # fmt: skip
ITEMS = {
    "message": {"id", "status", "role", "content"},
    "reasoning": {"id", "summary"},
    "file_search_call": {"id", "status", "queries", "results"},
}
PARTS = {"output_text": {"text", "annotations"}, "summary_text": {"text"}}
RESULT = {"file_id", "filename", "text", "attributes", "score", "vector_store_id"}
USAGE = {"input_tokens", "input_tokens_details", "output_tokens", "output_tokens_details", "total_tokens"}
AT_ITEM = {"output_index", "item_id"}
EVENTS = {
    "response.created": {"response"},
    "response.in_progress": {"response"},
    "response.completed": {"response"},
    "response.incomplete": {"response"},
    "response.failed": {"response"},
    "response.output_item.added": {"output_index", "item"},
    "response.output_item.done": {"output_index", "item"},
    "response.content_part.added": {*AT_ITEM, "content_index", "part"},
    "response.content_part.done": {*AT_ITEM, "content_index", "part"},
    "response.output_text.delta": {*AT_ITEM, "content_index", "delta", "logprobs"},
    "response.output_text.done": {*AT_ITEM, "content_index", "text", "logprobs"},
    "response.reasoning_summary_part.added": {*AT_ITEM, "summary_index", "part"},
    "response.reasoning_summary_part.done": {*AT_ITEM, "summary_index", "part"},
    "response.reasoning_summary_text.delta": {*AT_ITEM, "summary_index", "delta"},
    "response.reasoning_summary_text.done": {*AT_ITEM, "summary_index", "text"},
    "response.file_search_call.in_progress": AT_ITEM,
    "response.file_search_call.searching": AT_ITEM,
    "response.file_search_call.completed": AT_ITEM,
}
QUESTION = {"type": "message", "role": "user", "content": ASKED}
CASES = {
    "a text": ASKED,
    "a message": [QUESTION],
    "a system message": [{"type": "message", "role": "system", "content": "Speak as a sailor."}, QUESTION],
    "several turns": [
        {"type": "message", "role": "user", "content": "I am called Mor."},
        {"type": "message", "role": "assistant", "content": "Good day, Mor."},
        QUESTION,
    ],
    "phases of an assistant": [
        {"type": "message", "role": "assistant", "phase": "commentary", "content": "I look it up."},
        {"type": "message", "role": "assistant", "phase": "final_answer", "content": "It is four."},
        QUESTION,
    ],
}


def check_item(item):
    assert ITEMS[item["type"]] <= set(item), item
    for part in [*item.get("content", []), *item.get("summary", [])]:
        assert PARTS[part["type"]] <= set(part), part
    for result in item.get("results") or []:
        assert set(result) >= RESULT


def check_response(response):
    for name, kind in RESPONSE.items():
        value = response[name]
        assert (value is None and name in NULLABLE) or isinstance(value, kind), (name, value)
    for item in response["output"]:
        check_item(item)
    assert response["usage"] is None or set(response["usage"]) >= USAGE


async def asked(replies, **body):
    async with client(of=agent(*replies)) as http:
        reply = await http.post("/v1/responses", json={"model": MODEL, **body})
    assert reply.status_code == 200, reply.text
    return reply


@pytest.mark.parametrize("case", CASES)
async def test_each_shape_of_a_request_is_answered_whole_and_as_a_stream(case):
    response = (await asked((SEARCH, FINISH), input=CASES[case])).json()
    check_response(response)
    assert response["status"] == "completed"
    events = chunks((await asked((SEARCH, FINISH), input=CASES[case], stream=True)).text)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    for event in events:
        assert EVENTS[event["type"]] <= set(event), event
        if "item" in event:
            check_item(event["item"])
        if "response" in event:
            check_response(event["response"])
    assert [item["type"] for item in events[-1]["response"]["output"]] == [item["type"] for item in response["output"]]


@pytest.mark.parametrize(
    "replies", [(SEARCH, SEARCH), ("Thought: t\nAction: search[down]",) * 9], ids=["limit", "fault"]
)
async def test_a_run_without_an_answer_is_a_response_too(replies):
    events = chunks((await asked(replies, input=ASKED, stream=True, fireact={"max_steps": 2})).text)
    for event in events:
        assert EVENTS[event["type"]] <= set(event), event
        if "response" in event:
            check_response(event["response"])
