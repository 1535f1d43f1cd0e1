"""Requests as well-known clients send them, as literals: each is answered, and what of it is not done is named."""

import pytest
from served import ASKED, MODEL, client

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
FUNCTION = {"name": "lookup", "description": "d", "parameters": {"type": "object", "properties": {}}}
USER = {"role": "user", "content": ASKED}

REQUESTS = {
    "LangChain, streamed": (
        CHAT,
        {
            "messages": [{"content": "You are helpful.", "role": "system"}, {"content": ASKED, "role": "user"}],
            "model": MODEL,
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": 0.7,
        },
        [],
    ),
    "LangChain, an agent with functions": (
        CHAT,
        {
            "messages": [
                {"content": "Who?", "role": "user"},
                {
                    "content": None,
                    "role": "assistant",
                    "tool_calls": [{"type": "function", "id": "c1", "function": {"name": "lookup", "arguments": "{}"}}],
                },
                {"content": "It rains.", "role": "tool", "tool_call_id": "c1"},
                USER,
            ],
            "model": MODEL,
            "n": 1,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [{"type": "function", "function": FUNCTION}],
        },
        ["tools"],
    ),
    "LangChain, the old agents' stop words": (
        CHAT,
        {"messages": [USER], "model": MODEL, "stop": ["\nObservation", "\n\tObservation"], "max_tokens": 256},
        ["stop"],
    ),
    "LangChain, Responses": (
        RESPONSES,
        {
            "include": ["reasoning.encrypted_content"],
            "input": [
                {"content": "Who?", "role": "user", "type": "message"},
                {"id": "rs_1", "summary": [], "type": "reasoning"},
                {
                    "content": [{"annotations": [], "text": "Ila", "type": "output_text"}],
                    "id": "msg_1",
                    "role": "assistant",
                    "type": "message",
                },
                {"content": [{"type": "input_text", "text": ASKED}], "role": "user", "type": "message"},
            ],
            "model": MODEL,
            "stream": False,
        },
        [],
    ),
    "LiteLLM": (
        CHAT,
        {
            "model": MODEL,
            "messages": [
                {"role": "user", "content": "Who?"},
                {
                    "content": "Ila",
                    "role": "assistant",
                    "tool_calls": None,
                    "function_call": None,
                    "provider_specific_fields": {"refusal": None, "reasoning_content": "Thought: t"},
                    "reasoning_content": "Thought: t",
                    "thinking_blocks": [{"type": "thinking", "thinking": "t"}],
                },
                USER,
            ],
            "stream": False,
            "temperature": 0.0,
            "top_p": 1.0,
            "max_tokens": 512,
            "user": "litellm",
        },
        [],
    ),
    "LlamaIndex": (CHAT, {"messages": [USER], "model": MODEL, "stream": False, "temperature": 0.1}, []),
    "the AI SDK, chat": (
        CHAT,
        {
            "model": MODEL,
            "max_tokens": 1000,
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": ASKED}]},
            ],
            "stream": True,
            "stream_options": {"include_usage": True},
        },
        [],
    ),
    "the AI SDK, Responses": (
        RESPONSES,
        {
            "model": MODEL,
            "input": [
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "content": [{"type": "input_text", "text": ASKED}]},
            ],
            "store": False,
            "stream": True,
            "tools": [],
        },
        [],
    ),
    "a terminal agent on Responses": (
        RESPONSES,
        {
            "model": MODEL,
            "instructions": "You are a coding agent.",
            "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": ASKED}]}],
            "tools": [{"type": "function", "strict": False, **FUNCTION}],
            "tool_choice": "auto",
            "parallel_tool_calls": False,
            "reasoning": {"effort": "medium", "summary": "auto"},
            "store": False,
            "stream": True,
            "include": ["reasoning.encrypted_content"],
            "prompt_cache_key": "0199",
            "text": {"verbosity": "medium"},
        },
        ["reasoning", "tools"],
    ),
    "a chat interface with ids and options in its messages": (
        CHAT,
        {
            "model": MODEL,
            "messages": [{"id": 194, "opts": {"visible": False}, **USER, "timestamp": 1, "files": []}],
            "stream": False,
            "frequency_penalty": 0,
            "presence_penalty": 0,
            "top_p": 1,
        },
        [],
    ),
    "every optional field as null": (
        CHAT,
        {
            "model": MODEL,
            "messages": [{**USER, "name": None, "tool_calls": None, "tool_call_id": None}],
            **dict.fromkeys(("temperature", "top_p", "n", "stop", "max_tokens", "tools", "tool_choice", "logit_bias")),
            **dict.fromkeys(("response_format", "seed", "user", "stream", "stream_options", "functions")),
        },
        [],
    ),
}


@pytest.mark.parametrize("name", REQUESTS)
async def test_the_request_of(name):
    path, body, ignored = REQUESTS[name]
    async with client() as http:
        reply = await http.post(path, json=body)
        assert reply.status_code == 200, reply.text
        assert "Ila Dun" in reply.text
        told = await http.post(path, json={**body, "stream": False, "stream_options": None})
    assert sorted(told.json()["fireact"]["ignored"]) == ignored
