"""What the benchmarks compute about schedules, on schedules that can be worked out by hand."""

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.occupancy import Call, Occupancy, occupancy
from benchmarks.schedules import (
    Chain,
    Leg,
    lockstep_s,
    lower_bound_s,
    pooled,
    slot_per_rollout_s,
    work_conserving,
)

legs = st.lists(st.builds(Leg, st.integers(1, 9), st.integers(0, 5)), max_size=3)
chains = st.lists(
    st.tuples(legs, st.integers(1, 9)).map(lambda drawn: (*drawn[0], Leg(drawn[1]))), min_size=1, max_size=12
)


def chain(*calls_s: float, search_s: float = 0.0) -> Chain:
    return tuple(Leg(call_s, search_s) for call_s in calls_s)


def makespan_of(calls: list[Call]) -> float:
    return max(call.left_at_s for call in calls)


def test_the_lower_bound_is_work_over_slots_or_the_longest_chain() -> None:
    assert lower_bound_s([chain(2, 2), chain(3), chain(3)], slots=2) == 5
    assert lower_bound_s([chain(2, 2, 2, search_s=1), chain(1)], slots=2) == 9


def test_list_scheduling_takes_ready_calls_in_the_order_of_the_questions() -> None:
    calls = work_conserving([chain(2, 2), chain(3), chain(3)], slots=2)
    assert [(c.came_at_s, c.left_at_s, c.opens) for c in calls] == [
        (0, 2, True),
        (0, 3, True),
        (2, 4, False),
        (3, 6, True),
    ]


def test_a_pool_takes_calls_first_come_first_served_and_opens_a_question_when_one_has_ended() -> None:
    calls = pooled([chain(2, 2), chain(3), chain(3)], slots=1, pools=1, open_per_slot=2)
    assert [(c.came_at_s, c.opens) for c in calls] == [(0, True), (2, True), (5, False), (7, True)]


def test_pools_do_not_lend_each_other_slots() -> None:
    calls = pooled([chain(1), chain(4, 4)], slots=2, pools=2, open_per_slot=1)
    assert [(c.came_at_s, c.left_at_s) for c in calls] == [(0, 1), (0, 4), (4, 8)]
    calls = pooled([chain(4), chain(4), chain(1)], slots=2, pools=2, open_per_slot=2)
    assert [(c.came_at_s, c.left_at_s) for c in calls] == [(0, 4), (0, 1), (4, 8)]


def test_a_search_takes_no_slot() -> None:
    assert makespan_of(work_conserving([chain(1, 1, search_s=5), chain(4)], slots=1)) == 7
    assert slot_per_rollout_s([chain(1, 1, search_s=5), chain(4)], slots=1) == 16


def test_lockstep_waits_for_the_slowest_of_every_chunk_and_then_for_all_searches() -> None:
    two = [(Leg(1, 2), Leg(1)), (Leg(4, 2), Leg(1))]
    assert lockstep_s(two, chunk=2, connections=2, search_threads=1) == 4 + 4 + 1
    assert lockstep_s(two, chunk=1, connections=2, search_threads=2) == 5 + 2 + 2


@given(chains, st.integers(1, 5))
def test_no_schedule_beats_the_bound_and_grahams_bound_holds(some: list[Chain], slots: int) -> None:
    calls = work_conserving(some, slots)
    assert len(calls) == sum(map(len, some))
    assert sum(call.opens for call in calls) == len(some)
    work_s = sum(leg.call_s for one in some for leg in one)
    longest_s = max(sum(leg.call_s + leg.search_s for leg in one) for one in some)
    assert lower_bound_s(some, slots) <= makespan_of(calls) <= work_s / slots + longest_s


def test_occupancy_is_measured_until_the_last_question_is_started() -> None:
    calls = [Call(0, 4, True), Call(1, 4, True), Call(4.5, 6, True), Call(4.5, 9, True)]
    assert occupancy(calls, slots=2) == Occupancy(
        makespan_s=9, drain_s=4.5, ramp_s=1, in_use=7 / 9, n_dips=1, longest_dip_s=0.5
    )
