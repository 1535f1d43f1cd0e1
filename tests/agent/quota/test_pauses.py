"""A provider that refuses everything, on a virtual clock: how often it is asked, and what is said meanwhile."""

import asyncio
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireact_ray.agent.quota.budget import Account, Budget, BudgetLimits, Spent
from fireact_ray.agent.quota.gate import Gate
from fireact_ray.agent.quota.ledger import Denied, Grant, Ledger, Outcome, QuotaLimits, Settlement, Wait
from fireact_ray.agent.quota.pauses import Pauses
from fireact_ray.core.types import Usage

CALL = Usage(90, 10)


def refused_for(seconds: float, asked_s, latency_s: float = 0.1, n_callers: int = 1, **limits) -> list[float]:
    """When calls went out to a provider that refuses each, and asks for `asked_s()`, until the time or the run ends."""
    ledger = Ledger(QuotaLimits(**limits), 0.0, "e")
    ledger.open("run", Budget(BudgetLimits(), None, Spent(), 0.0))
    now, sent, flying = 0.0, [], []
    while now < seconds:
        answer = ledger.lease(now, "run", CALL) if len(flying) < n_callers else Wait(1e9)
        if isinstance(answer, Denied):
            return sent
        if isinstance(answer, Grant):
            sent.append(now)
            flying.append((now + latency_s, answer.lease_id))
            continue
        ends, lease_id = flying[0] if flying else (float("inf"), "")
        now = min(ends, now + answer.seconds)
        if now >= ends:
            flying.pop(0)
            ledger.settle(now, "run", Settlement(lease_id, Outcome.LIMITED, retry_after_s=asked_s()))
    return sent


@pytest.mark.parametrize(
    ("asked_s", "n_calls"), [(0.0, 6), (0.001, 6), (None, 4), (2.0, 4), (3.0, 3), (8.0, 1)], ids=str
)
def test_a_provider_that_refuses_for_eight_seconds_is_asked_a_few_times(asked_s, n_calls):
    assert len(refused_for(8.0, lambda: asked_s)) == n_calls


def test_of_many_callers_each_is_refused_once_at_most_and_then_one_goes_out_at_a_time():
    sent = refused_for(8.0, lambda: 0.0, n_callers=64)
    assert sum(at < 0.1 for at in sent) == 16  # what goes out to a provider of which nothing is known
    assert len(sent) == 16 + 5


@given(
    st.lists(st.none() | st.floats(0.0, 5.0), min_size=1, max_size=20),
    st.floats(0.0, 3.0),
    st.integers(1, 40),
)
def test_whatever_it_asks_for_a_refusing_provider_sees_few_calls_per_second(asked, latency_s, n_callers):
    waits = iter(asked * 10_000)
    sent = refused_for(60.0, lambda: next(waits), latency_s=latency_s, n_callers=n_callers, max_concurrency=8)
    first_round = sum(at == 0.0 for at in sent)
    assert first_round <= 8
    assert all(sum(at <= other < at + 1.0 for other in sent[first_round:]) <= 4 for at in sent[first_round:])


def test_a_wait_within_the_patience_is_waited_and_one_beyond_it_ends_the_run():
    assert refused_for(2000.0, lambda: 600.0, patience_s=900.0) == [0.0, 600.1]
    assert refused_for(2000.0, lambda: 3600.0, patience_s=900.0) == [0.0]


def test_without_a_word_of_the_provider_a_run_ends_within_its_patience():
    sent = refused_for(2000.0, lambda: None, latency_s=0.0, patience_s=900.0)
    assert 840 <= sent[-1] <= 900


def test_the_message_names_what_was_asked_or_what_was_waited_and_never_more():
    pauses = Pauses()
    pauses.refused(0.0, 0.0, None, "m: HTTP 429")
    assert pauses.hopeless(0.5, 900.0) is None
    assert pauses.hopeless(900.5, 900.0) == (
        "m: HTTP 429; no reply came in 900 s, and a run waits 900 s at most. Run the same command again later"
    )
    pauses.refused(20.0, 20.0, 120.0, "m: HTTP 429")
    assert pauses.words(20.0) == "m: HTTP 429; every call waits 120 s, as the provider asks"
    pauses.refused(140.0, 140.0, 0.0, "m: HTTP 429")
    assert pauses.words(140.0) == "m: HTTP 429; every call waits 0.5 s, since it goes on refusing"


async def test_a_long_pause_is_announced_once(caplog):
    gate = Gate(QuotaLimits())
    gate.open(Account("run", BudgetLimits()), Spent())
    leases = [await gate.lease("run", CALL) for _ in range(4)]
    with caplog.at_level(logging.WARNING):
        for lease in leases[:3]:
            gate.settle("run", Settlement(lease.lease_id, Outcome.LIMITED, retry_after_s=60.0, said="m: HTTP 429"))
            await asyncio.sleep(0)
        assert [r.getMessage() for r in caplog.records] == ["m: HTTP 429; every call waits 60 s, as the provider asks"]
        gate.settle("run", Settlement(leases[3].lease_id, Outcome.LIMITED, retry_after_s=3600.0))
    assert len(caplog.records) == 1  # the run ends instead, and says so
    assert isinstance(await gate.lease("run", CALL), Denied)
