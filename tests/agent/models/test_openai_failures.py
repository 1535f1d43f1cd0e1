"""Reading a reply that is none: which typed failure it is, in the provider's own words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from odd_replies import ANYTHING, said

from fireact_ray.agent.models.openai_reply import read_completion
from fireact_ray.core.errors import (
    MalformedReply,
    ModelDenied,
    ModelError,
    ModelRefused,
    ModelUnavailable,
    ModelUnknown,
    PromptFlagged,
    RateLimited,
    TokenLimit,
)
from fireact_ray.core.net.http import HttpReply


def failed(value, status=200, **headers) -> ModelError:
    reply = value if isinstance(value, HttpReply) else said(value, status, **headers)
    with pytest.raises(ModelError) as caught:
        read_completion(reply, "m", "host")
    return caught.value


@pytest.mark.parametrize(
    ("status", "body", "failure", "message"),
    [
        (
            400,
            {
                "error": {
                    "message": "Unsupported value: 'temperature' does not support 0.0 with this model.",
                    "type": "invalid_request_error",
                    "param": "temperature",
                    "code": "unsupported_value",
                }
            },
            ModelRefused,
            "m: HTTP 400 unsupported_value (temperature): Unsupported value: 'temperature' does not support 0.0 with "
            "this model. (set by teacher.sampling.temperature; left out by teacher.model.leave_out: [temperature]; "
            "teacher.model.dialect: openai-reasoning leaves out all that such models refuse)",
        ),
        (
            400,
            {"error": {"message": "Unsupported parameter: 'stop'", "code": "unsupported_parameter", "param": "stop"}},
            ModelRefused,
            "m: HTTP 400 unsupported_parameter (stop): Unsupported parameter: 'stop' "
            "(left out by teacher.model.leave_out: [stop]; "
            "teacher.model.dialect: openai-reasoning leaves out all that such models refuse)",
        ),
        (
            400,
            {
                "error": {
                    "message": "'max_tokens' is not supported. Use 'max_completion_tokens'.",
                    "param": "max_tokens",
                }
            },
            ModelRefused,
            "m: HTTP 400 (max_tokens): 'max_tokens' is not supported. Use 'max_completion_tokens'. "
            "(set by teacher.sampling.max_new_tokens; left out by teacher.model.leave_out: [max_tokens])",
        ),
        (
            422,
            {"detail": [{"loc": ["body", "max_tokens"], "msg": "Input should be less than 4096", "type": "x"}]},
            ModelRefused,
            "m: HTTP 422: max_tokens: Input should be less than 4096 (set by teacher.sampling.max_new_tokens)",
        ),
        (
            400,
            {"object": "error", "message": "seed must be positive", "type": "BadRequestError", "code": 400},
            ModelRefused,
            "m: HTTP 400 BadRequestError: seed must be positive "
            "(set by teacher.sampling.seed; left out by teacher.model.leave_out: [seed])",
        ),
        (
            400,
            {
                "object": "error",
                "message": "This model's maximum context length is 2048 tokens. However, you requested 2300 tokens.",
                "type": "BadRequestError",
                "code": 400,
            },
            TokenLimit,
            "m: the prompt does not fit into the model's context (HTTP 400 BadRequestError: This model's maximum "
            "context length is 2048 tokens. However, you requested 2300 tokens.)",
        ),
        (
            400,
            {"error": {"message": "max_tokens is too large: 9999. The maximum context length is 4096.", "code": 400}},
            ModelRefused,
            "m: HTTP 400: max_tokens is too large: 9999. The maximum context length is 4096. "
            "(set by teacher.sampling.max_new_tokens)",
        ),
        (
            429,
            {
                "error": {
                    "message": "Request too large for m: Limit 30000, Requested 45000.",
                    "code": "rate_limit_exceeded",
                }
            },
            TokenLimit,
            None,
        ),
        (407, {"message": "Proxy Authentication Required"}, ModelDenied, None),
        (404, {"detail": "Not Found"}, ModelUnknown, "Model 'm': not found at host (HTTP 404: Not Found)"),
        (503, {"error": {"message": "Loading model", "code": 503}}, ModelUnavailable, "m: HTTP 503: Loading model"),
        (500, {"error": "CUDA out of memory"}, ModelUnavailable, "m: HTTP 500: CUDA out of memory"),
        (529, {"type": "error", "message": "Overloaded"}, ModelUnavailable, "m: HTTP 529 error: Overloaded"),
        (
            429,
            [{"error": {"code": 429, "message": "Quota exceeded", "status": "RESOURCE_EXHAUSTED"}}],
            RateLimited,
            "m: HTTP 429 RESOURCE_EXHAUSTED: Quota exceeded",
        ),
        (
            200,
            {"error": {"message": "Insufficient credits", "code": 402}},
            ModelDenied,
            "m: HTTP 402: Insufficient credits",
        ),
        (200, {"error": {"message": "Slow down", "code": 429}}, RateLimited, "m: HTTP 429: Slow down"),
        (200, {"error": {"message": "Slow down", "code": "rate_limit_exceeded"}}, RateLimited, None),
        (200, {"error": {"message": "No key", "code": "401"}}, ModelDenied, "m: HTTP 401: No key"),
        (200, {"error": {"message": "No key", "status": "UNAUTHENTICATED"}}, ModelDenied, None),
        (200, {"error": {"message": "Bad gateway", "code": 502}}, ModelUnavailable, "m: HTTP 502: Bad gateway"),
        (200, {"error": {"message": "No such model", "code": 404}}, ModelUnknown, None),
        (200, {"error": "something broke"}, MalformedReply, "m: an error: something broke"),
        (
            502,
            {"error": {"message": "Provider returned error", "code": 502, "metadata": {"raw": "upstream\n is down"}}},
            ModelUnavailable,
            "m: HTTP 502: Provider returned error: upstream is down",
        ),
        (
            400,
            {"error": {"message": "API key not valid.", "details": [{"reason": "API_KEY_INVALID"}]}},
            ModelDenied,
            None,
        ),
        (400, {"error": {"message": "Your credit balance is too low."}}, ModelDenied, None),
        (429, {"error": {"message": "Check your plan and billing details.", "code": "429"}}, ModelDenied, None),
    ],
)
def test_a_failure_is_told_in_the_providers_own_words(status, body, failure, message):
    error = failed(body, status)
    assert type(error) is failure
    assert message in (None, str(error))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (
            403,
            {"error": {"code": 403, "message": "x", "metadata": {"reasons": ["harassment"], "flagged_input": "..."}}},
        ),
        (403, {"code": "no permission", "error": "Content violates usage guidelines. Failed check: SAFETY"}),
        (400, {"error": {"message": "x", "code": "content_filter"}}),
        (400, {"error": {"message": "x", "innererror": {"code": "ResponsibleAIPolicyViolation"}}}),
        (400, {"error": {"message": "x", "code": "content_policy_violation"}}),
        (400, {"error": {"message": "Content Exists Risk", "type": "invalid_request_error"}}),
        (200, {"error": {"code": 403, "message": "x", "metadata": {"reasons": ["violence"]}}}),
        (200, {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}),
    ],
)
def test_a_flagged_question_fails_its_own_row_and_not_the_run(status, body):
    error = failed(body, status)
    assert type(error) is PromptFlagged
    assert not isinstance(error, ModelDenied | ModelUnavailable)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, {"error": {"message": "the input was flagged", "code": "content_filter"}}),
        (403, {"error": {"message": "Your account was flagged for abuse", "code": 403}}),
        (403, {"error": {"message": "x", "metadata": {"reasons": []}}}),
        (402, {"error": {"message": "x"}}),
    ],
)
def test_a_refused_key_stops_the_run_whatever_it_says_besides(status, body):
    assert type(failed(body, status)) is ModelDenied


def test_a_rate_limit_of_a_plan_that_says_when_to_come_back_is_no_refused_plan():
    body = {"error": {"message": "You exceeded your quota, please check your plan and billing details.", "code": 429}}
    error = failed(body, 429, **{"retry-after": "7"})
    assert (type(error), error.retry_after_s) == (RateLimited, 7.0)


@pytest.mark.parametrize(
    ("body", "headers", "seconds"),
    [
        ([{"error": {"code": 429, "message": "x", "details": [{"@type": "RetryInfo", "retryDelay": "6s"}]}}], {}, 6.0),
        ({"error": {"message": "Please try again in 1.5s."}}, {}, 1.5),
        ({"error": {"message": "Please try again in 1.5s."}}, {"retry-after": "3"}, 3.0),
        ({"error": {"message": "Please try again in 1.5s."}}, {"retry-after": "0"}, 1.5),
        ({"error": {"message": "Rate limit reached"}}, {"retry-after": "0"}, 0.0),
        ({"error": {"message": "Rate limit reached"}}, {}, None),
        (
            {
                "error": {
                    "message": "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock more",
                    "code": 429,
                    "metadata": {"headers": {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "60s"}},
                }
            },
            {},
            60.0,
        ),
    ],
)
def test_how_long_to_wait_is_said_in_headers_fields_or_words(body, headers, seconds):
    error = failed(body, 429, **headers)
    assert (type(error), error.retry_after_s) == (RateLimited, seconds)


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (
            200,
            b"<!doctype html><html><head><title>Sign in</title></head></html>",
            "m: the address answers with a web page titled 'Sign in'; is teacher.model.base_url right?",
        ),
        (200, b"<html><body>hello", "m: the address answers with a web page; is teacher.model.base_url right?"),
        (200, b"hello", "m: the reply is no JSON object"),
        (502, b"<html><title>502 Bad &amp; Gateway</title>", "m: HTTP 502: a web page titled '502 Bad & Gateway'"),
        (500, b"upstream connect error\r\n\x1b[31m", "m: HTTP 500: upstream connect error [31m"),
        (500, b"", "m: HTTP 500"),
        (500, b"{}", "m: HTTP 500"),
        (500, None, "m: HTTP 500"),
    ],
)
def test_pages_and_plain_text_are_told_in_a_line(status, body, message):
    assert str(failed(HttpReply(status, {}, body))) == message


def test_a_long_text_is_cut_after_its_keys_are_masked():
    error = failed({"error": {"message": "x" * 285 + " sk-test-0123456789 and more"}}, 500)
    assert str(error) == "m: HTTP 500: " + "x" * 285 + " [redacted]..."


def test_failures_of_one_cause_have_one_signature_though_their_texts_differ():
    def refused(code, request):
        return failed({"error": {"message": f"request {request}", "code": code, "param": "temperature"}}, 400)

    assert refused("unsupported_value", 1).signature == "ModelRefused 400 unsupported_value temperature"
    assert refused("unsupported_value", 1).signature == refused("unsupported_value", 2).signature
    assert refused("unsupported_value", 1).signature != refused("other", 1).signature


@given(st.integers(200, 599), ANYTHING)
def test_any_failure_is_one_printable_line(status, value):
    error = failed({"error": value} if status == 200 and value else value, 500 if status < 300 else status)
    assert str(error).isprintable()
    assert len(str(error)) < 600
