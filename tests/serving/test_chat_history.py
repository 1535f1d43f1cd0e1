"""Chat completions over ASGI: what of a conversation an agent is told."""

import pytest
from served import ASKED, USER, shown

HISTORIES = {
    "our own reply as it came": [
        {"role": "assistant", "content": "1875", "reasoning_content": "Thought: t", "refusal": None, "annotations": []}
    ],
    "as an SDK dumps it": [
        {"role": "assistant", "content": "1875", "function_call": None, "tool_calls": None, "audio": None}
    ],
    "as other servers reason": [{"role": "assistant", "content": "1875", "reasoning": "r", "reasoning_details": []}],
    "a list of parts": [{"role": "assistant", "content": [{"type": "text", "text": "1875"}]}],
    "thoughts among its parts": [
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "t", "signature": "s"},
                {"type": "redacted_thinking", "data": "d"},
                {"type": "reasoning", "text": "r"},
                {"type": "text", "text": "1875"},
            ],
        }
    ],
    "parts of the other protocol": [{"role": "assistant", "content": [{"type": "output_text", "text": "1875"}]}],
    "a name, a prefix, a cache mark": [
        {"role": "assistant", "content": "1875", "name": "a", "prefix": False, "cache_control": {"type": "ephemeral"}}
    ],
}


@pytest.mark.parametrize("case", HISTORIES)
async def test_an_earlier_reply_of_any_shape_is_history(case):
    messages = [{"role": "user", "content": "When was Fulwom born?"}, *HISTORIES[case], USER]
    assert await shown(messages) == (f"User: When was Fulwom born?\nAssistant: 1875\nQuestion: {ASKED}", {})


CALLS = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
SILENT = {
    "null": [{"role": "assistant", "content": None}],
    "empty": [{"role": "assistant", "content": ""}],
    "no content at all": [{"role": "assistant"}],
    "no parts": [{"role": "assistant", "content": []}],
    "a call alone": [{"role": "assistant", "content": None, "tool_calls": CALLS}],
    "an empty system message": [{"role": "system", "content": ""}],
}


@pytest.mark.parametrize("case", SILENT)
async def test_a_turn_that_says_nothing_is_no_turn(case):
    assert await shown([*SILENT[case], USER]) == (ASKED, {})


async def test_what_a_clients_function_returned_is_told():
    messages = [
        {"role": "assistant", "content": None, "tool_calls": CALLS},
        {"role": "tool", "tool_call_id": "1", "content": "It is 7 o'clock."},
        {"role": "function", "name": "f", "content": [{"type": "text", "text": "It rains."}]},
        USER,
    ]
    assert await shown(messages) == (f"Tool: It is 7 o'clock.\nTool: It rains.\nQuestion: {ASKED}", {})


async def test_instructions_and_turns_behind_the_question_are_told_before_it():
    messages = [
        {"role": "system", "content": "Answer in French."},
        {"role": "developer", "content": "Be brief."},
        USER,
        {"role": "assistant", "content": "Somebody"},
    ]
    expected = f"Instructions: Answer in French.\nInstructions: Be brief.\nAssistant: Somebody\nQuestion: {ASKED}"
    assert await shown(messages) == (expected, {})


async def test_a_conversation_of_any_length_is_taken_and_what_does_not_fit_is_named():
    earlier = [{"role": role, "content": f"{n}"} for n in range(2000) for role in ("user", "assistant")]
    told, ignored = await shown([*earlier, USER], max_question_chars=60)
    assert told == f"Assistant: 1999\nQuestion: {ASKED}"
    assert ignored == {"messages": "3999 earlier turns: this server takes 60 characters"}


async def test_a_question_alone_is_given_as_it_was_in_training():
    assert await shown([{"role": "user", "content": [{"type": "text", "text": ASKED}]}]) == (ASKED, {})
    assert await shown([{"role": "user", "content": "Which is a fruit?\nA. Iron\nB. Apple"}]) == (
        "Which is a fruit?\nA. Iron\nB. Apple",
        {},
    )


async def test_a_server_that_takes_no_history_says_so():
    told, ignored = await shown([{"role": "system", "content": "x"}, USER], history=False)
    assert told == ASKED
    assert ignored == {"messages": "1 earlier turn: this agent is asked one question at a time"}
