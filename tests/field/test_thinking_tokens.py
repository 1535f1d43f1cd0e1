"""Tokens of hidden reasoning are paid for: they count as the reply's wherever a server puts them, and once."""

import json

import pytest

from fireact_ray.agent.models.openai_reply import read_completion
from fireact_ray.core.net.http import HttpReply
from fireact_ray.core.types import Usage

MESSAGE = {"message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}


def usage(**told) -> Usage:
    body = json.dumps({"choices": [MESSAGE], "usage": told}).encode()
    return read_completion(HttpReply(200, {}, body), "m", "host").usage


@pytest.mark.parametrize(
    ("told", "counted"),
    [
        ({"prompt_tokens": 700, "completion_tokens": 30, "total_tokens": 730}, Usage(700, 30)),
        # Gemini: in the total alone
        ({"prompt_tokens": 20, "completion_tokens": 424, "total_tokens": 1016}, Usage(20, 996)),
        # Grok: beside the reply's, and in the total
        (
            {
                "prompt_tokens": 32,
                "completion_tokens": 9,
                "total_tokens": 135,
                "completion_tokens_details": {"reasoning_tokens": 94},
            },
            Usage(32, 103),
        ),
        # OpenAI: among the reply's
        (
            {
                "prompt_tokens": 32,
                "completion_tokens": 103,
                "total_tokens": 135,
                "completion_tokens_details": {"reasoning_tokens": 94},
            },
            Usage(32, 103),
        ),
        # a proxy that adds up what it shows
        (
            {
                "prompt_tokens": 21,
                "completion_tokens": 0,
                "total_tokens": 21,
                "completion_tokens_details": {"reasoning_tokens": 60},
            },
            Usage(21, 60),
        ),
        (
            {"prompt_tokens": 21, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 60}},
            Usage(21, 65),
        ),
        ({"prompt_tokens": 21, "completion_tokens": 5, "completion_tokens_details": None}, Usage(21, 5)),
        ({"prompt_tokens": 700, "total_tokens": 730}, Usage(700, 30)),
        ({"prompt_tokens": 700, "completion_tokens": 30, "total_tokens": 3}, Usage(700, 30)),
        ({"prompt_tokens": 700, "completion_tokens": 30, "total_tokens": "many"}, Usage(700, 30)),
        ({"input_tokens": 700, "output_tokens": 30}, Usage(700, 30)),
        ({"total_tokens": 730}, Usage()),
    ],
)
def test_tokens_of_thinking_are_counted_once(told, counted):
    assert usage(**told) == counted


@pytest.mark.parametrize(
    ("told", "cached"),
    [
        ({"prompt_tokens_details": {"cached_tokens": 64}}, 64),  # OpenAI
        ({"prompt_tokens_details": {"cached_tokens": 0}}, 0),
        ({"prompt_cache_hit_tokens": 64, "prompt_cache_miss_tokens": 36}, 64),  # DeepSeek
        ({"cache_read_input_tokens": 64, "cache_creation_input_tokens": 0}, 64),  # Anthropic
        ({"input_tokens_details": {"cached_tokens": 64}}, 64),
        ({"prompt_tokens_details": None}, None),
        ({"prompt_tokens_details": {"cached_tokens": "64"}}, None),
        ({"prompt_tokens_details": {"cached_tokens": -1}}, None),
        ({}, None),
    ],
)
def test_tokens_that_came_from_the_providers_cache_are_known_where_it_says_so(told, cached):
    assert usage(prompt_tokens=100, completion_tokens=5, **told) == Usage(100, 5, cached)
