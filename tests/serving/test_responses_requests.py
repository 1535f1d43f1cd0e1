"""What the Responses protocol takes: input of every shape, wishes, and what is refused by name."""

import pytest
from fakes import FINISH, SEARCH
from served import ASKED, RESPONSES, EndlessModel, by, client, respond

URL = "/v1/responses"


async def shown(given, **body):
    """The question that the model was given for this input, and what the reply says of it."""
    model = EndlessModel()
    reply = await respond(of=by(model), input=given, **body)
    assert reply.status_code == 200, reply.text
    return model.asked[0][-1].content, reply.json()["fireact"]["ignored"]


async def test_our_own_output_is_history_when_it_comes_back():
    first = (await respond(SEARCH, FINISH)).json()["output"]
    conversation = [{"role": "user", "content": "Who?"}, *first, {"role": "user", "content": ASKED}]
    assert await shown(conversation) == (f"User: Who?\nAssistant: Ila Dun\nQuestion: {ASKED}", {})


async def test_input_of_every_shape_reaches_the_agent():
    assert await shown(ASKED) == (ASKED, {})
    assert await shown([{"type": "message", "role": "user", "content": [{"type": "input_text", "text": ASKED}]}]) == (
        ASKED,
        {},
    )
    called = [
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "It rains."},
        {"type": "web_search_call", "id": "ws", "status": "completed", "action": {"type": "search", "query": "q"}},
        {"role": "user", "content": ASKED},
    ]
    assert await shown(called, instructions="Be brief.") == (
        f"Instructions: Be brief.\nTool: It rains.\nQuestion: {ASKED}",
        {},
    )


QUIET = [
    {"type": "reasoning", "id": "r", "summary": []},
    {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
    {"type": "custom_tool_call", "call_id": "1", "name": "f", "input": "x"},
    {"type": "local_shell_call", "id": "1", "call_id": "1", "status": "completed", "action": {"type": "exec"}},
    {"type": "shell_call", "call_id": "1", "action": {"commands": ["ls"]}},
    {"type": "apply_patch_call", "call_id": "1", "status": "completed", "operation": {"type": "delete_file"}},
    {"type": "apply_patch_call_output", "call_id": "1", "status": "completed"},
    {"type": "computer_call", "id": "1", "call_id": "1", "pending_safety_checks": [], "status": "completed"},
    {"type": "code_interpreter_call", "id": "1", "code": "1", "container_id": "c", "outputs": None},
    {"type": "image_generation_call", "id": "1", "result": "AA==", "status": "completed"},
    {"type": "mcp_call", "id": "1", "name": "f", "arguments": "{}", "server_label": "s", "output": "x"},
    {"type": "mcp_list_tools", "id": "1", "server_label": "s", "tools": []},
    {"type": "mcp_approval_request", "id": "1", "name": "f", "arguments": "{}", "server_label": "s"},
]


@pytest.mark.parametrize("item", QUIET, ids=lambda item: item["type"])
async def test_what_a_model_thought_or_asked_of_tools_is_no_turn(item):
    assert await shown([item, {"role": "user", "content": ASKED}]) == (ASKED, {})


@pytest.mark.parametrize("kind", ["function", "custom_tool", "local_shell", "apply_patch"])
async def test_what_a_clients_tool_gave_back_is_told_whatever_kind_it_is(kind):
    output = {"type": f"{kind}_call_output", "call_id": "1", "output": "It rains."}
    assert await shown([output, {"role": "user", "content": ASKED}]) == (f"Tool: It rains.\nQuestion: {ASKED}", {})


NOTHING = {
    "instructions": None, "stream": False, "stream_options": {"include_obfuscation": False}, "top_p": 1.0,
    "max_output_tokens": None, "temperature": None, "include": ["file_search_call.results"], "tools": [],
    "tool_choice": "auto", "max_tool_calls": None, "text": {"format": {"type": "text"}}, "store": False,
    "reasoning": {"effort": None, "summary": None}, "truncation": "auto", "background": False, "service_tier": "auto",
    "top_logprobs": 0, "previous_response_id": None, "conversation": None, "prompt": None, "user": "u",
    "metadata": {}, "parallel_tool_calls": True, "safety_identifier": "s", "prompt_cache_key": "k",
}  # fmt: skip


async def test_fields_that_ask_for_nothing_change_nothing():
    async with client() as http:
        for name, value in NOTHING.items():
            for given in (value, None):
                reply = await http.post(URL, json={**RESPONSES, name: given})
                assert (reply.status_code, reply.json()["fireact"]["ignored"]) == (200, {}), (name, reply.text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("reasoning", {"effort": "low"}), ("store", True), ("tools", [{"type": "web_search"}]), ("top_p", 0.2),
        ("max_tool_calls", 3), ("context_management", [{"type": "compaction"}]),
        ("include", ["reasoning.encrypted_content", "message.output_text.logprobs"]),
    ],
)  # fmt: skip
async def test_a_wish_that_is_not_met_is_named(name, value):
    assert list((await respond(**{name: value})).json()["fireact"]["ignored"]) == [name]


async def test_how_wordy_an_answer_should_be_is_named_as_in_chats():
    reply = await respond(text={"format": {"type": "text"}, "verbosity": "high"})
    assert list(reply.json()["fireact"]["ignored"]) == ["verbosity"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("previous_response_id", "resp_1"), ("conversation", "conv_1"), ("prompt", {"id": "p"}), ("background", True),
        ("text", {"format": {"type": "json_schema", "name": "a", "schema": {}}}), ("tool_choice", "required"),
        ("top_logprobs", 2), ("truncation", "middle"), ("moderation", {"model": "m"}),
    ],
)  # fmt: skip
async def test_what_is_not_there_is_refused_by_name(name, value):
    reply = await respond(**{name: value})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, name)


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ([], "input"),
        ("", "input"),
        ("  ", "input"),
        ([{"type": "item_reference", "id": "x"}], "input.0"),
        ([{"type": "compaction", "encrypted_content": "x"}], "input.0"),
        ([{"type": "computer_call_output", "call_id": "1", "output": {"type": "computer_screenshot"}}], "input.0"),
        ([{"type": "shell_call_output", "call_id": "1", "output": [{"stdout": "x"}]}], "input.0.output.0"),
        ([{"role": "user", "content": [{"type": "input_image", "image_url": "http://x"}]}], "input.0.content.0"),
        ([{"role": "root", "content": "x"}], "input.0"),
        ([{"x": 1}], "input.0"),
        ([{"type": "message", "role": "assistant", "content": []}], "input"),
        (7, "input"),
    ],
)
async def test_input_that_is_no_question_is_named(given, param):
    reply = await respond(input=given)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param), reply.text
