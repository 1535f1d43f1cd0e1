"""Errors in the shapes in which providers and proxies tell them are read: their words, and what they mean for a row."""

import json

import pytest

from fireact_ray.agent.models.openai_reply import read_completion
from fireact_ray.core.errors import (
    MalformedReply,
    ModelDenied,
    ModelError,
    ModelRefused,
    ModelUnavailable,
    ModelUnknown,
    TokenLimit,
)
from fireact_ray.core.net.http import HttpReply


def failed(status, body) -> ModelError:
    with pytest.raises(ModelError) as caught:
        read_completion(HttpReply(status, {}, json.dumps(body).encode()), "m", "host")
    return caught.value


@pytest.mark.parametrize(
    ("status", "body", "failure", "message"),
    [
        (400, {"message": "invalid request", "id": "x"}, ModelRefused, "m: HTTP 400: invalid request"),
        (400, {"detail": "Bad thing"}, ModelRefused, "m: HTTP 400: Bad thing"),
        (
            422,
            {"detail": [{"loc": ["body", "stop"], "msg": "Extra inputs are not permitted", "type": "extra_forbidden"}]},
            ModelRefused,
            "m: HTTP 422: stop: Extra inputs are not permitted (left out by teacher.model.leave_out: [stop])",
        ),
        (400, ["Bad thing"], ModelRefused, "m: HTTP 400: Bad thing"),
        (400, [{"message": "Bad thing", "code": "c"}], ModelRefused, "m: HTTP 400 c: Bad thing"),
        (400, "Bad thing", ModelRefused, "m: HTTP 400: Bad thing"),
        (500, {"error": True, "message": "boom"}, ModelUnavailable, "m: HTTP 500: boom"),
        (400, {"title": "Bad", "status": 400, "errors": {"a": ["b"]}}, ModelRefused, "m: HTTP 400: Bad"),
        (
            400,
            {"success": False, "errors": [{"code": 7003, "message": "No route"}, {"message": "Nor there"}]},
            ModelRefused,
            "m: HTTP 400 7003: No route; Nor there",
        ),
        (
            404,
            {"error": "model 'x' not found, try pulling it first"},
            ModelUnknown,
            "Model 'm': not found at host (HTTP 404: model 'x' not found, try pulling it first)",
        ),
        (
            529,
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
            ModelUnavailable,
            "m: HTTP 529 overloaded_error: Overloaded",
        ),
        (
            400,
            {"error": '{"error": {"message": "said behind a proxy", "code": "x"}}'},
            ModelRefused,
            "m: HTTP 400 x: said behind a proxy",
        ),
        (
            401,
            {"fault": {"faultstring": "Invalid ApiKey", "detail": {"errorcode": "oauth"}}},
            ModelDenied,
            "m: HTTP 401: Invalid ApiKey",
        ),
        (400, {"Message": "no"}, ModelRefused, "m: HTTP 400: no"),
        (400, {"error_code": 17, "error_msg": "daily limit"}, ModelRefused, "m: HTTP 400 17: daily limit"),
        # with 200
        (200, {"message": "busy", "success": False}, MalformedReply, "m: an error: busy"),
        (200, {"detail": "Rate limited"}, MalformedReply, "m: an error: Rate limited"),
        (200, {"code": 11200, "message": "no licence"}, MalformedReply, "m: an error 11200: no licence"),
        (
            200,
            {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}, "choices": None},
            ModelDenied,
            "m: an error 1008: insufficient balance",
        ),
    ],
)
def test_an_error_is_told_in_the_providers_words_whatever_its_shape(status, body, failure, message):
    error = failed(status, body)
    assert (type(error), str(error)) == (failure, message)


@pytest.mark.parametrize(
    "words",
    [
        "This model's maximum context length is 2048 tokens. However, your request has 2300 input tokens.",
        "'max_tokens' or 'max_completion_tokens' is too large: 2000. This model's maximum context length is 2048 "
        "tokens and your request has 100 input tokens (2000 > 2048 - 100).",
        "The decoder prompt (length 2500) is longer than the maximum model length of 2048.",
        "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens",
        "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
        "Input is too long for requested model.",
        "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
        "too many tokens: size limit exceeded by 11326 tokens.",
        "the request exceeds the available context size. try increasing the context size",
        "The input token count (1048577) exceeds the maximum number of tokens allowed (1048576).",
    ],
)
@pytest.mark.parametrize("shape", ["error", "message", "detail"])
def test_a_prompt_that_does_not_fit_is_a_limit_of_tokens(words, shape):
    body = {"error": {"message": words}} if shape == "error" else {shape: words}
    assert type(failed(400, body)) is TokenLimit


def test_a_limit_that_fits_with_no_prompt_is_a_wrong_recipe():
    words = (
        "'max_tokens' or 'max_completion_tokens' is too large: 4000. This model's maximum context length is 2048 "
        "tokens and your request has 100 input tokens (4000 > 2048 - 100)."
    )
    error = failed(400, {"error": {"message": words}})
    assert type(error) is ModelRefused
    assert str(error).endswith("(set by teacher.sampling.max_new_tokens)")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("Conversation roles must alternate user/assistant/user/assistant/...", "teacher.model.system: fold"),
        ("Developer instruction is not enabled for models/gemma-3-27b-it", "teacher.model.system: fold"),
        ("System role not supported", "teacher.model.system: fold"),
        (
            "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
            "teacher.model.system: fold",
        ),
        ("Unsupported parameter: 'stop' is not supported with this model.", "teacher.model.leave_out: [stop]"),
        ('Unknown name "seed": Cannot find field.', "teacher.model.leave_out: [seed]"),
        ("Unrecognized request argument supplied: reasoning_effort", "set by teacher.model.reasoning_effort"),
        ("temperature is deprecated for this model", "teacher.model.leave_out: [temperature]"),
    ],
)
def test_a_refusal_names_the_line_of_the_recipe_that_helps(words, line):
    error = failed(400, {"error": {"message": words}})
    assert type(error) is ModelRefused
    assert line in str(error)
