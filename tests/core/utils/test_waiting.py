"""A wait is said after ten seconds and then every minute, and not at all where there is none."""

import logging

import pytest

from fireact_ray.core.utils.waiting import Waiting


@pytest.fixture
def clock():
    """Seconds, set by hand."""

    class Clock:
        now = 100.0

        def __call__(self):
            return self.now

    return Clock()


def said(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def look_through(waiting, clock, seconds):
    for _ in range(seconds):
        clock.now += 1.0
        waiting.look()


def test_a_wait_is_said_after_ten_seconds_and_then_every_minute(caplog, clock):
    with caplog.at_level(logging.INFO):
        waiting = Waiting("generate", lambda: "2 of 2 workers (starting)", clock)
        look_through(waiting, clock, 9)
        assert said(caplog) == []
        look_through(waiting, clock, 131)
    text = "generate: waiting for 2 of 2 workers (starting), {} s"
    assert said(caplog) == [text.format(10), text.format(70), text.format(130)]


def test_where_nothing_is_waited_for_nothing_is_said(caplog, clock):
    with caplog.at_level(logging.INFO):
        look_through(Waiting("train", lambda: None, clock), clock, 200)
    assert said(caplog) == []


def test_a_second_wait_is_said_after_ten_seconds_of_its_own(caplog, clock):
    reasons = {"now": "CPUs"}
    with caplog.at_level(logging.INFO):
        waiting = Waiting("serve", lambda: reasons["now"], clock)
        look_through(waiting, clock, 10)
        reasons["now"] = None
        look_through(waiting, clock, 60)
        reasons["now"] = "a worker"
        look_through(waiting, clock, 10)
    assert said(caplog) == ["serve: waiting for CPUs, 10 s", "serve: waiting for a worker, 10 s"]


def test_what_is_waited_for_is_looked_up_only_when_it_is_said(clock):
    """It may be a question to a cluster."""
    asked = []
    look_through(Waiting("x", lambda: asked.append(1) or "y", clock), clock, 69)
    assert len(asked) == 1
