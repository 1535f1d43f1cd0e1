import pytest

from fireact_ray.demo.teacher.limiting import Limiter, RateLimit


def test_a_burst_is_admitted_then_one_request_per_share_of_the_minute():
    limiter = Limiter(RateLimit(60, burst_s=3.0))
    assert [limiter.refused_for_s(100.0) for _ in range(4)] == [None, None, None, 1.0]
    assert limiter.refused_for_s(100.5) == pytest.approx(0.5)
    assert limiter.refused_for_s(101.0) is None


def test_headers_tell_the_limit_and_what_is_left():
    limiter = Limiter(RateLimit(60, burst_s=3.0))
    limiter.refused_for_s(100.0)
    assert limiter.headers(100.0) == {"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "2"}
    assert Limiter(RateLimit()).headers(0.0) == {}
