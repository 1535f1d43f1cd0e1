"""Bodies of any shape: what is read is read whole, and what is not is refused by name; never anything else."""

import json

from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fireact_ray.serving.chat_request import ChatRequest
from fireact_ray.serving.errors import ApiError
from fireact_ray.serving.message_text import text_of
from fireact_ray.serving.responses_request import ResponsesRequest

WORDS = st.text(max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
TEXT_PARTS = st.builds(
    lambda kind, text: {"type": kind, "text": text}, st.sampled_from(["text", "input_text", "output_text"]), WORDS
)
PARTS = TEXT_PARTS | WORDS | st.builds(lambda kind, rest: {**rest, "type": kind}, WORDS, st.dictionaries(WORDS, WORDS))
CONTENTS = st.none() | WORDS | st.lists(PARTS | JSON, max_size=4)
ROLES = st.sampled_from(["system", "developer", "user", "assistant", "tool", "function"]) | WORDS
MESSAGES = st.builds(
    lambda role, content, rest: {**rest, "role": role, "content": content},
    ROLES,
    CONTENTS,
    st.dictionaries(st.sampled_from(["name", "tool_calls", "refusal", "reasoning_content", "id", "audio"]), JSON),
)
ITEMS = (
    MESSAGES
    | JSON.filter(lambda value: isinstance(value, dict))
    | st.builds(
        lambda kind, rest: {**rest, "type": kind},
        st.sampled_from(["message", "reasoning", "function_call_output", "file_search_call", "item_reference"]) | WORDS,
        st.dictionaries(st.sampled_from(["output", "summary", "id", "role", "content"]), JSON),
    )
)
FIELDS = {
    model: st.dictionaries(st.sampled_from([*model.model_fields, "base_url"]), JSON, max_size=4)
    for model in (ChatRequest, ResponsesRequest)
}


def refusal_of(model, body):
    """Why a body is refused, in the one way or the other; None where it is taken."""
    try:
        request = model.model_validate(body)
        request.ignored()
        request.wishes()
        said = request.said()
    except ValidationError as error:
        return error.errors()[0]["loc"]
    except ApiError as error:
        assert error.status == 400
        assert error.param is not None
        return error.param
    assert all(isinstance(turn.text, str) for turn in said)
    json.dumps([turn.text for turn in said])
    return None


@given(st.lists(MESSAGES, max_size=5), FIELDS[ChatRequest])
def test_any_chat_is_read_or_refused_at_a_place(messages, fields):
    refusal_of(ChatRequest, {**fields, "model": "m", "messages": messages})


@given(st.lists(ITEMS, max_size=5) | WORDS, FIELDS[ResponsesRequest])
def test_any_input_is_read_or_refused_at_a_place(given_input, fields):
    refusal_of(ResponsesRequest, {**fields, "model": "m", "input": given_input})


@given(st.lists(TEXT_PARTS, max_size=5))
def test_all_text_of_a_content_is_kept_in_its_order(parts):
    assert text_of(parts, "x") == "\n".join(part["text"] for part in parts if part["text"])


@given(
    st.lists(
        st.builds(lambda role, text: {"role": role, "content": text}, st.sampled_from(["user", "assistant"]), WORDS),
        min_size=1,
    )
)
def test_each_message_is_one_turn(messages):
    said = ChatRequest.model_validate({"model": "m", "messages": messages}).said()
    assert [(turn.speaker, turn.text) for turn in said] == [(m["role"].capitalize(), m["content"]) for m in messages]
