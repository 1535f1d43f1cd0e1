"""When the same failure in row after row stops a run."""

import pytest
from fakes import finished_trajectory

from fireact_ray.core.types import StopReason
from fireact_ray.rollouts.failure_streak import FROM_THE_START, LATER_ON, Streak, failure_of, kind_of

REFUSED = "ModelRefused: m: HTTP 400 unsupported_value (temperature): request req_{} was refused"
DOWN = "ModelUnavailable: m: connection refused (127.0.0.1:9) (after {} attempts)"


def stops_after(streak: Streak, failures: list[str]) -> int | None:
    """The number of rows after which the run stops."""
    for number, failure in enumerate(failures, 1):
        streak.add(failure)
        if streak.stops() is not None:
            return number
    return None


def refused(n: int) -> list[str]:
    return [REFUSED.format(i) for i in range(n)]


@pytest.mark.parametrize(
    ("is_first", "failures", "after"),
    [
        (True, refused(9), 5),  # whatever the request's id
        (True, [DOWN.format(i) for i in range(9)], 5),
        (True, refused(4), None),
        (True, ["", *refused(49)], None),  # one row ended otherwise
        (True, ["", *refused(60)], 51),
        (True, [*refused(3), DOWN.format(1), *refused(4)], None),  # different failures
        (True, [*refused(3), DOWN.format(1), *refused(5)], 9),
        (False, refused(49), None),  # rows of an earlier run ended otherwise
        (False, refused(60), 50),
        (False, [*refused(49), "", *refused(49)], None),
    ],
)
def test_a_run_stops_after_so_many_rows(is_first, failures, after):
    assert (FROM_THE_START, LATER_ON) == (5, 50)
    assert stops_after(Streak(is_first=is_first), failures) == after


@pytest.mark.parametrize(
    ("is_first", "failures", "stops"),
    [
        (True, refused(1), True),
        (True, refused(3), True),
        (True, [*refused(3), ""], False),
        (True, ["", *refused(3)], False),
        (False, refused(3), False),
        (True, [], False),
    ],
)
def test_at_the_end_all_rows_are_enough_however_few(is_first, failures, stops):
    streak = Streak(is_first=is_first)
    for failure in failures:
        streak.add(failure)
    assert (streak.stops(at_end=True) is not None) == stops


def test_the_reason_holds_the_providers_words_and_the_next_move():
    streak = Streak(is_first=True)
    for failure in refused(5):
        streak.add(failure)
    assert str(streak.stops()) == (
        "5 rows in a row failed in the same way: ModelRefused: m: HTTP 400 unsupported_value (temperature): request "
        "req_4 was refused. That is no result of theirs: they are pending. Put right what it names, and run the same "
        "command again."
    )


def test_the_kind_of_a_failure_is_its_class_model_and_status():
    assert kind_of(REFUSED) == "ModelRefused: m: HTTP 400 unsupported_value (temperature)"
    assert kind_of(DOWN.format(5)) == kind_of(DOWN.format(2)) == "ModelUnavailable: m: connection refused (127.0.0.1:9)"
    assert kind_of("tool_error") == "tool_error"


@pytest.mark.parametrize(
    ("reason", "error", "failure"),
    [
        (StopReason.FINISHED, None, ""),
        (StopReason.MAX_STEPS, None, ""),
        (StopReason.PARSE_ERROR, "too many replies without a usable action", ""),
        (StopReason.MAX_TOKENS, "TokenLimit: m: HTTP 400: too long", ""),
        (StopReason.MODEL_ERROR, "PromptFlagged: m: HTTP 403: flagged", ""),  # its question's own fault
        (StopReason.MODEL_ERROR, "ReplyWithheld: m: withheld", ""),
        (StopReason.MODEL_ERROR, "ModelRefused: m: HTTP 400", "ModelRefused: m: HTTP 400"),
        (StopReason.TOOL_ERROR, "too many failed tool calls", "too many failed tool calls"),
        (StopReason.TIMEOUT, "TimeoutError: no end within 600 s", "TimeoutError: no end within 600 s"),
        (StopReason.CRASHED, None, "crashed"),
    ],
)
def test_a_failure_is_what_ended_a_row_from_outside(reason, error, failure):
    assert failure_of(finished_trajectory(stop_reason=reason, error=error, score=None)) == failure
