import pytest

from fireact_ray.agent.quota.rate_headers import (
    RateNotice,
    read_duration_s,
    read_notice,
    read_retry_after_s,
    read_wait_s,
)


def test_limits_and_what_is_left_are_read():
    headers = {
        "x-ratelimit-limit-requests": "5000",
        "x-ratelimit-remaining-requests": "4999",
        "x-ratelimit-limit-tokens": "160000",
        "x-ratelimit-remaining-tokens": "159976",
    }
    assert read_notice(headers) == RateNotice(5000.0, 4999.0, 160000.0, 159976.0)


@pytest.mark.parametrize("headers", [{}, {"x-ratelimit-limit-tokens": "-1", "x-ratelimit-remaining-tokens": "nan"}])
def test_nothing_said_and_nothing_usable_said_are_no_notice(headers):
    assert read_notice(headers) is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}, 60.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:10 GMT"}, 0.0),
        ({"retry-after": "7s"}, 7.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "9" * 400}, None),
        ({}, None),
    ],
)
def test_retry_after_is_seconds_milliseconds_or_a_date(headers, seconds):
    assert read_retry_after_s(headers, now_unix_s=40.0) == seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "2m59.56s"}, 179.56),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "7.66s"}, 7.66),
        ({"x-ratelimit-remaining-tokens": "12", "x-ratelimit-reset-tokens": "7.66s"}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1700000060"}, 60.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1700000060000"}, 60.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1600000000"}, 0.0),
        ({"x-ratelimit-remaining": "0, 1999", "x-ratelimit-reset": "1, 1419704"}, 1.0),
        ({"x-ratelimit-remaining": "0, 0", "x-ratelimit-reset": "1, 1419704"}, 1419704.0),
        ({"x-ratelimit-reset": "8s"}, None),
        ({"retry-after": "3", "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "8s"}, 3.0),
        ({"retry-after": "0", "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "8s"}, 8.0),
    ],
)
def test_where_a_limit_is_used_up_its_reset_says_how_long_to_wait(headers, seconds):
    assert read_retry_after_s(headers, now_unix_s=1_700_000_000.0) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1h2m3s", 3723.0),
        ("120ms", 0.12),
        ("1d", 86400.0),
        ("6", 6.0),
        ("1m 2s", None),
        ("x1s", None),
        ("", None),
        ("s", None),
        ("9" * 400 + "s", None),
    ],
)
def test_a_duration_is_read_whole_or_not_at_all(text, seconds):
    assert read_duration_s(text) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Rate limit reached. Please try again in 8s.", 8.0),
        ("You exceeded your current quota ... Please retry in 6.25s.", 6.25),
        ("Please try again in 1m2.5s. Visit us.", 62.5),
        ("Please retry after 20 seconds.", 20.0),
        ("Try again in 5 minutes", 300.0),
        ("try again in 3 steps", None),
        ("Try again later.", None),
    ],
)
def test_a_sentence_may_say_when_to_come_back(text, seconds):
    assert read_wait_s(text) == seconds
