"""Where the body of an answer begins, by what the server says, not by what it was asked for."""

import pytest

from fireact_ray.tasks.fetching.ranges import Body, body_of, redirect_problem, total_of, validator_of


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (200, {"Content-Length": "100"}, Body(0, 100)),
        (200, {}, Body(0, None)),
        (206, {"Content-Range": "bytes 40-99/100", "Content-Length": "60"}, Body(40, 100)),
        (206, {"Content-Range": "bytes 40-99/*"}, Body(40, None)),
        (200, {"Content-Range": "bytes 40-99/100", "Content-Length": "60"}, Body(40, 100)),
        (206, {"Content-Length": "60"}, None),
        (206, {"Content-Range": "bytes -1-99/100"}, None),
        (200, {"Content-Length": "many"}, Body(0, None)),
    ],
)
def test_the_place_of_a_body_is_the_one_that_is_named(status, headers, body):
    assert body_of(status, headers) == body


def test_what_a_416_says_of_the_whole():
    assert total_of({"Content-Range": "bytes */100"}) == 100
    assert total_of({}) is None


@pytest.mark.parametrize(
    ("headers", "validator"),
    [
        ({"ETag": '"a"', "Last-Modified": "Mon"}, '"a"'),
        ({"ETag": 'W/"a"', "Last-Modified": "Mon"}, "Mon"),
        ({"ETag": 'W/"a"'}, None),
        ({}, None),
    ],
)
def test_a_file_is_known_again_by_a_strong_etag_or_its_time(headers, validator):
    assert validator_of(headers) == validator


@pytest.mark.parametrize(
    ("url", "target", "problem"),
    [
        ("https://a.org/x", "https://b.org/y", None),
        ("http://a.org/x", "https://a.org/x", None),
        ("http://a.org/x", "http://b.org/x", None),
        ("https://a.org/x", "http://b.org/x", "it sends on from https to http (b.org)"),
        ("https://a.org/x", "file:///etc/passwd", "it sends on to an address that is none (file:)"),
        ("https://a.org/x", "https:///y", "it sends on to an address that is none (https:)"),
    ],
)
def test_a_redirect_is_followed_where_it_is_no_less_safe(url, target, problem):
    assert redirect_problem(url, target) == problem
