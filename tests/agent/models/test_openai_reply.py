"""Reading a reply that says OK: a completion of the provider's own words, or a typed failure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from odd_replies import ANYTHING, said

from fireact_ray.agent.models.base import Completion
from fireact_ray.agent.models.openai_reply import read_completion
from fireact_ray.core.errors import (
    MalformedReply,
    ModelError,
    ReplyWithheld,
    UnreadReply,
)
from fireact_ray.core.net.http import HttpReply
from fireact_ray.core.types import Usage


def objects(**fields):
    """JSON objects with these fields; now and then without some, or anything else."""
    whole = st.fixed_dictionaries(fields)
    return whole | whole | whole | st.fixed_dictionaries({}, optional=fields) | ANYTHING


MESSAGES = objects(content=st.text() | ANYTHING)
FINISHES = st.sampled_from(["stop", "length", "content_filter", "error", None]) | ANYTHING
USAGES = objects(prompt_tokens=st.integers(0), completion_tokens=st.integers(0) | ANYTHING)
REPLIES = objects(choices=st.lists(objects(message=MESSAGES, finish_reason=FINISHES), min_size=1), usage=USAGES)


def strings_of(value) -> set[str]:
    if isinstance(value, str):
        return {value}
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return set().union(*map(strings_of, inner))


def read(message=None, finish_reason="stop", usage=None) -> Completion:
    choice = {"message": {"role": "assistant", "content": "hello", **(message or {})}, "finish_reason": finish_reason}
    return read_completion(said({"choices": [choice], "usage": usage}), "m", "host")


@pytest.mark.parametrize(
    ("finish_reason", "message", "text_and_reason"),
    [
        ("stop", {}, ("hello", "stop")),
        (None, {}, ("hello", "stop")),
        ("eos", {}, ("hello", "stop")),
        ("stop", {"content": ""}, ("", "stop")),
        ("length", {}, ("hello", "length")),
        ("MAX_TOKENS", {}, ("hello", "length")),
        ("length", {"content": None}, ("", "length")),
        ("length", {"content": "cut in a character \ud83d"}, ("cut in a character \ufffd", "length")),
    ],
)
def test_how_a_reply_ended_is_told_in_the_words_of_many_providers(finish_reason, message, text_and_reason):
    completion = read(message, finish_reason)
    assert (completion.text, completion.finish_reason) == text_and_reason


@pytest.mark.parametrize(
    ("finish_reason", "message", "failure"),
    [
        ("content_filter", {}, ReplyWithheld),
        ("content_filter: RECITATION", {"content": None}, ReplyWithheld),
        ("SAFETY", {}, ReplyWithheld),
        ("stop", {"content": None, "refusal": "I cannot."}, ReplyWithheld),
        ("error", {}, MalformedReply),
        ("abort", {}, MalformedReply),
        ("tool_calls", {"content": None}, MalformedReply),
        ("tool_calls", {"content": None, "tool_calls": [{"type": "function"}]}, UnreadReply),
        (7, {}, UnreadReply),
        ("stop", {"content": 7}, UnreadReply),
    ],
)
def test_a_reply_that_was_withheld_or_broke_off_is_a_typed_failure(finish_reason, message, failure):
    with pytest.raises(ModelError) as caught:
        read(message, finish_reason)
    assert type(caught.value) is failure


@pytest.mark.parametrize(
    "usage",
    [
        None,
        [],
        "7",
        {},
        {"prompt_tokens": 7},
        {"prompt_tokens": "7", "completion_tokens": 2},
        {"prompt_tokens": 7.0, "completion_tokens": 2},
        {"prompt_tokens": True, "completion_tokens": 2},
        {"prompt_tokens": -7, "completion_tokens": 2},
        {"prompt_tokens": 7, "completion_tokens": 10**30},
    ],
)
def test_usage_that_is_no_count_of_tokens_is_unknown_as_a_whole(usage):
    assert read(usage=usage) == Completion("hello", "stop", Usage())
    assert read(usage={"prompt_tokens": 7, "completion_tokens": 2}).usage == Usage(7, 2)


@given(REPLIES)
def test_any_json_is_a_completion_of_its_own_text_or_a_typed_failure(value):
    try:
        completion = read_completion(said(value), "m", "host")
    except ModelError:
        return
    assert completion.text in strings_of(value) | {""}
    assert completion.finish_reason in ("stop", "length")


@given(st.binary())
def test_any_bytes_are_no_reply(body):
    with pytest.raises(MalformedReply):
        read_completion(HttpReply(200, {}, body), "m", "host")
