import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireact_ray.agent.quota.budget import Budget, BudgetLimits, Spent
from fireact_ray.agent.quota.ledger import Denied, Grant, Ledger, Outcome, QuotaLimits, Settlement, Wait
from fireact_ray.agent.quota.rate_headers import RateNotice
from fireact_ray.core.types import Usage

CALL = Usage(90, 10)
NOTHING, UNLIMITED = Spent(), BudgetLimits()
TRUE = Usage(60, 4)


def ledger(spent: Spent = NOTHING, budget: BudgetLimits = UNLIMITED, **limits) -> Ledger:
    made = Ledger(QuotaLimits(**limits), 0.0, "e")
    made.open("run", Budget(budget, None, spent, 0.0))
    return made


def grant(made: Ledger, now: float = 0.0) -> str:
    answer = made.lease(now, "run", CALL)
    assert isinstance(answer, Grant)
    return answer.lease_id


def settle(made: Ledger, now: float, lease_id: str, outcome: Outcome = Outcome.DONE, **said) -> None:
    made.settle(now, "run", Settlement(lease_id, outcome, TRUE if outcome is Outcome.DONE else Usage(), **said))


def test_calls_are_granted_up_to_the_concurrency_and_again_when_one_is_settled():
    made = ledger(max_concurrency=2)
    first = grant(made)
    grant(made)
    assert made.lease(0.0, "run", CALL) == Wait(180.0)
    settle(made, 1.0, first)
    grant(made, 1.0)


def test_a_429_makes_everybody_wait_as_long_as_the_provider_says():
    made = ledger()
    settle(made, 1.0, grant(made), Outcome.LIMITED, retry_after_s=7.0)
    assert made.lease(2.0, "run", CALL) == Wait(6.0)
    grant(made, 8.0)


def test_the_longest_of_several_pauses_holds():
    made = ledger()
    first, second = grant(made), grant(made)
    settle(made, 1.0, first, Outcome.LIMITED, retry_after_s=7.0)
    settle(made, 1.0, second, Outcome.LIMITED, retry_after_s=2.0)
    assert made.lease(2.0, "run", CALL) == Wait(6.0)


def test_429s_that_name_no_time_pause_longer_each_round_until_a_reply_comes():
    made, now, pauses = ledger(), 0.0, []
    for _ in range(7):
        settle(made, now, grant(made, now), Outcome.LIMITED)
        answer = made.lease(now, "run", CALL)
        assert isinstance(answer, Wait)
        pauses.append(answer.seconds)
        now += answer.seconds
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    settle(made, now, grant(made, now))
    settle(made, now, grant(made, now), Outcome.LIMITED)
    assert made.lease(now, "run", CALL) == Wait(1.0)


def test_429s_without_one_reply_in_between_end_the_run_when_patience_is_over():
    made = ledger(patience_s=60.0)
    settle(made, 0.0, grant(made), Outcome.LIMITED, retry_after_s=50.0)
    settle(made, 50.0, grant(made, 50.0), Outcome.LIMITED, retry_after_s=50.0)
    answer = made.lease(51.0, "run", CALL)
    assert isinstance(answer, Denied) and not answer.by_budget
    assert answer.reason == (
        "rate limited; no reply came in 51 s and the provider asks to wait 49 s, and a run waits 60 s at most. "
        "Run the same command again later"
    )


def test_a_wait_that_is_longer_than_the_patience_ends_the_run_at_once_and_says_what_was_asked():
    made = ledger()
    settle(made, 1.0, grant(made), Outcome.LIMITED, retry_after_s=3600.0, said="m: HTTP 429: per day")
    answer = made.lease(1.0, "run", CALL)
    assert answer == Denied(
        "m: HTTP 429: per day; the provider asks to wait 3600 s, and a run waits 900 s at most. "
        "Run the same command again later",
        by_budget=False,
    )


def test_after_a_pause_one_call_goes_out_alone_until_a_reply_comes():
    made = ledger()
    for lease_id in [grant(made) for _ in range(4)]:
        settle(made, 1.0, lease_id, Outcome.LIMITED, retry_after_s=7.0)
    probe = grant(made, 8.0)
    assert made.lease(8.0, "run", CALL) == Wait(180.0)
    settle(made, 9.0, probe, Outcome.FAILED)
    probe = grant(made, 9.0)
    assert isinstance(made.lease(9.0, "run", CALL), Wait)
    settle(made, 10.0, probe)
    grant(made, 10.0)
    grant(made, 10.0)


def test_a_reply_of_a_call_that_was_under_way_shows_that_the_provider_does_not_refuse_everything():
    made = ledger()
    refused, answered = grant(made), grant(made)
    settle(made, 1.0, refused, Outcome.LIMITED, retry_after_s=7.0)
    settle(made, 2.0, answered)
    assert made.lease(2.0, "run", CALL) == Wait(6.0)
    grant(made, 8.0)
    grant(made, 8.0)


def test_a_429_is_not_paid_and_a_reply_is_paid_at_what_it_took():
    made = ledger()
    settle(made, 0.0, grant(made), Outcome.LIMITED, retry_after_s=0.0)
    settle(made, 0.0, grant(made), Outcome.FAILED)
    assert made.runs["run"].spent == Spent()
    settle(made, 0.0, grant(made))
    assert made.runs["run"].spent == Spent(1, TRUE)


def test_a_reply_without_counted_tokens_is_paid_at_its_estimate():
    made = ledger()
    made.settle(0.0, "run", Settlement(grant(made), Outcome.DONE))
    assert made.runs["run"].spent == Spent(1, CALL)


def test_a_lease_whose_caller_died_gives_its_slot_back_and_counts_as_paid():
    made = ledger(max_concurrency=1, lease_s=30.0)
    lost = grant(made)
    assert made.lease(29.0, "run", CALL) == Wait(1.0)
    grant(made, 30.0)
    assert made.runs["run"].spent == Spent(1, CALL)
    settle(made, 31.0, lost)  # it was only slow
    assert made.runs["run"].spent == Spent(1, TRUE)


def test_a_lease_of_an_earlier_ledger_is_paid_and_disturbs_nothing():
    made = ledger(max_concurrency=1)
    grant(made)
    settle(made, 1.0, "earlier-1")
    assert made.runs["run"].spent == Spent(1, TRUE)
    assert isinstance(made.lease(1.0, "run", CALL), Wait)


@pytest.mark.parametrize("outcome", [Outcome.DONE, Outcome.LIMITED])
def test_a_settlement_said_twice_counts_once(outcome):
    made = ledger(max_concurrency=4)
    ours, expired = grant(made), grant(made)
    for lease_id in (ours, ours, "earlier-1", "earlier-1"):
        settle(made, 1.0, lease_id, outcome, retry_after_s=0.0)
    for _ in range(2):
        settle(made, 200.0, expired, outcome, retry_after_s=0.0)
    paid = 3 if outcome is Outcome.DONE else 0
    assert made.runs["run"].spent == Spent(paid, Usage(paid * TRUE.prompt_tokens, paid * TRUE.completion_tokens))
    assert made.runs["run"].reserved == Spent()


def test_a_run_that_begins_anew_waits_for_none_of_its_leases_of_before():
    made = ledger(max_concurrency=1)
    old = grant(made)
    made.open("run", Budget(BudgetLimits(), None, Spent(), 0.0))
    grant(made)
    for _ in range(2):
        settle(made, 1.0, old)  # its caller was dying, not dead: the reply is paid for, once
    assert (made.runs["run"].spent, made.runs["run"].reserved) == (Spent(1, TRUE), Spent(1, CALL))
    assert isinstance(made.lease(1.0, "run", CALL), Wait)


def test_a_run_over_its_budget_is_denied_while_another_goes_on():
    made = ledger(spent=Spent(5, Usage()), budget=BudgetLimits(max_calls=5))
    made.open("other", Budget(BudgetLimits(), None, Spent(), 0.0))
    answer = made.lease(0.0, "run", CALL)
    assert isinstance(answer, Denied) and answer.by_budget
    assert isinstance(made.lease(0.0, "other", CALL), Grant)


def test_the_last_of_a_budget_waits_for_the_calls_in_flight():
    made = ledger(budget=BudgetLimits(max_calls=1))
    first = grant(made)
    assert made.lease(0.0, "run", CALL) == Wait(180.0, only_this_run=True)
    settle(made, 1.0, first, Outcome.FAILED)
    grant(made, 1.0)


def test_limits_are_learnt_from_a_reply():
    made = ledger()
    settle(made, 0.0, grant(made), notice=RateNotice(requests_per_minute=60, remaining_requests=0))
    assert made.lease(0.0, "run", CALL) == Wait(1.0)
    grant(made, 1.0)
    assert isinstance(made.lease(1.5, "run", CALL), Wait)


def test_an_unknown_provider_gets_few_calls_until_it_names_its_rate():
    made = ledger()
    first = [grant(made) for _ in range(16)]
    assert made.lease(0.0, "run", CALL) == Wait(180.0)
    settle(made, 1.0, first[0], notice=RateNotice(requests_per_minute=6000))
    for n in range(100):
        grant(made, 2.0 + n)


@given(
    latencies=st.lists(st.floats(0.0, 30.0), min_size=1, max_size=150),
    per_minute=st.integers(10, 600),
    width=st.integers(1, 20),
)
def test_no_minute_sees_more_calls_than_allowed_and_never_more_are_in_flight(latencies, per_minute, width):
    made = ledger(requests_per_minute=per_minute, max_concurrency=width)
    now, started, flying = 0.0, [], []
    for latency in latencies:
        while isinstance(answer := made.lease(now, "run", CALL), Wait):
            nearest = min((end for end, _ in flying), default=float("inf"))
            now = min(now + answer.seconds, max(now, nearest))
            for end, lease_id in sorted(f for f in flying if f[0] <= now):
                settle(made, now, lease_id)
                flying.remove((end, lease_id))
        assert isinstance(answer, Grant)
        started.append(now)
        flying.append((now + latency, answer.lease_id))
        assert len(flying) <= width
    for first in started:
        assert sum(first <= at < first + 60 for at in started) <= per_minute + max(1, per_minute / 60) + 0.01


@pytest.mark.parametrize("calls", [1, 7])
def test_a_ledger_made_again_from_what_was_spent_goes_on_where_the_old_one_stopped(calls):
    limits = BudgetLimits(max_calls=10)
    old = ledger(budget=limits)
    for _ in range(calls):
        settle(old, 0.0, grant(old))
    new = ledger(spent=old.runs["run"].spent, budget=limits)
    for _ in range(10 - calls):
        settle(new, 0.0, grant(new))
    assert isinstance(new.lease(0.0, "run", CALL), Denied)
