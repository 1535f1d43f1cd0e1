"""Which rows are given out, to whom, and when no more are."""

import random
from collections import Counter

from fakes import question
from hypothesis import given
from hypothesis import strategies as st

from fireact_ray.rollouts.plan import Planned, Policy
from fireact_ray.rollouts.schedule import Receipt, Schedule


def row(key: str, method: str = "react") -> Planned:
    return Planned(key, question(), method)


def schedule(*lines: str, policy: Policy | None = None, **before: int) -> Schedule:
    """Each line names its rows by one letter each; capitals are CoT."""
    made = Schedule(policy or Policy(), Counter(before))
    for line in lines:
        rows = tuple(row(key, "cot" if key.isupper() else "react") for key in line)
        made.add(rows, [None] * len(rows))
    return made


def taken(made: Schedule, worker: str = "w", n: int = 100) -> str:
    return "".join(planned.trajectory_id for planned in made.take(worker, n))


def end(made: Schedule, keys: str, accepted: bool, worker: str = "w") -> None:
    made.finished(worker, [Receipt(key, accepted) for key in keys])
    made.written(worker, keys)


def test_rows_are_given_out_in_order_each_once():
    made = schedule("a", "b", "c")
    assert (taken(made, "w1", 2), taken(made, "w2", 2), taken(made, "w1", 2)) == ("ab", "c", "")


def test_of_a_line_with_written_rows_only_the_others_are_given_out():
    made = Schedule(Policy())
    made.add((row("a"), row("b"), row("c"), row("d")), [None, False, None, False])
    assert taken(made) == "a"
    end(made, "a", accepted=False)
    assert taken(made) == "c"
    end(made, "c", accepted=False)
    assert (taken(made), made.is_idle) == ("", True)


def test_it_is_idle_once_everything_is_written():
    made = schedule("a")
    taken(made)
    made.finished("w", [Receipt("a", True)])
    assert not made.is_idle  # finished, not yet on disk
    made.written("w", "a")
    assert made.is_idle


def test_the_next_row_of_a_line_follows_only_a_failure():
    made = schedule("ab", "cd")
    assert taken(made) == "ac"
    end(made, "a", accepted=True)
    end(made, "c", accepted=False)
    assert taken(made) == "d"


def test_a_line_goes_on_behind_what_is_written_and_ends_where_a_row_was_accepted():
    made = Schedule(Policy())
    made.add((row("a"), row("b"), row("c")), [False, None, None])
    made.add((row("d"), row("e")), [None, True])
    made.add((row("f"),), [False])
    assert taken(made) == "b"


def test_what_a_dead_worker_held_is_given_out_again_finished_or_not():
    made = schedule("a", "b", "c")
    taken(made, "w1")
    made.finished("w1", [Receipt("a", True), Receipt("b", True)])
    made.written("w1", "a")
    assert made.held("w1") == {"b", "c"}
    made.lost("w1")
    assert sorted(taken(made, "w2")) == ["b", "c"]
    end(made, "bc", accepted=True, worker="w2")
    assert (made.is_idle, made.n_finished, made.n_accepted) == (True, 3, 3)  # b counts once


def test_a_report_of_a_row_that_is_held_elsewhere_by_now_changes_nothing():
    made = schedule("ab")
    taken(made, "w1")
    made.lost("w1")
    taken(made, "w2")
    end(made, "a", accepted=False, worker="w1")
    assert (taken(made, "w2"), made.n_finished) == ("", 0)


def test_no_more_are_begun_than_a_target_is_likely_to_need():
    made = schedule(*"abcdefgh", policy=Policy(target_accepted=2))
    assert taken(made) == "ab"  # nothing is known yet: no more than are missing
    end(made, "a", accepted=False)
    assert taken(made) == "cd"  # two of three are expected to be accepted
    end(made, "b", accepted=True)
    assert taken(made) == ""  # c and d are running, and one is missing
    end(made, "c", accepted=False)
    assert taken(made) == "e"
    end(made, "d", accepted=True)
    assert made.skipped() == {"react"}
    made.returned("w", "e")
    assert (taken(made), made.is_idle) == ("", True)


def test_what_earlier_sittings_have_accepted_counts_for_the_target():
    made = schedule(*"abc", policy=Policy(target_accepted=3), react=3)
    assert (taken(made), made.is_idle) == ("", True)


def test_a_line_passes_by_a_method_that_has_reached_its_target():
    made = schedule("Ab", "Cd", policy=Policy(target_accepted=2), cot=2)
    assert taken(made) == "bd"


def test_a_row_that_kills_its_worker_again_and_again_is_tried_alone_and_then_condemned():
    made = schedule(*"abcx")
    deaths = 0
    while held := taken(made):
        if "x" in held:
            made.lost("w")
            deaths += 1
        else:
            end(made, held, accepted=True)
    assert deaths == 8  # five in company, three alone
    assert not made.is_idle
    assert [planned.trajectory_id for planned in made.take_quarantined("w1")] == ["x"]
    made.lost("w1")  # before it could write it
    assert [planned.trajectory_id for planned in made.take_quarantined("w2")] == ["x"]
    assert not made.is_idle
    made.written("w2", "x")
    assert (made.n_finished, made.is_idle) == (3, True)


def test_a_row_that_gets_further_in_each_life_is_never_suspected():
    made = schedule(*"ab")
    for _ in range(20):
        assert sorted(taken(made)) == ["a", "b"]
        made.lost("w", got_further={"a", "b"})


@given(st.lists(st.integers(1, 3), min_size=1, max_size=12), st.integers(0, 2**32))
def test_whatever_happens_every_needed_row_lands_once(lengths, seed):
    """Random takes, ends, deaths and returns; afterwards the lines are as if nothing had happened."""
    draw = random.Random(seed)
    made, lines = Schedule(Policy()), []
    for number, length in enumerate(lengths):
        lines.append([f"{number}-{i}" for i in range(length)])
        made.add(tuple(row(key) for key in lines[-1]), [None] * length)
    ok = {key: draw.random() < 0.5 for line in lines for key in line}
    held: dict[str, set[str]] = {"w1": set(), "w2": set()}
    written: list[str] = []
    for _ in range(10_000):
        if made.is_idle:
            break
        worker = draw.choice(["w1", "w2"])
        chance = draw.random()
        if chance < 0.05:
            assert made.held(worker) == held[worker]
            made.lost(worker)
            held[worker].clear()
        elif chance < 0.1 and held[worker]:
            key = held[worker].pop()
            made.returned(worker, [key])
        elif held[worker] and chance < 0.6:
            key = held[worker].pop()
            made.finished(worker, [Receipt(key, ok[key])])
            made.written(worker, [key])
            written.append(key)
        else:
            held[worker] |= {planned.trajectory_id for planned in made.take(worker, draw.randint(1, 4))}
        for planned in made.take_quarantined(worker):
            made.written(worker, [planned.trajectory_id])
            written.append(planned.trajectory_id)
            ok[planned.trajectory_id] = False
    expected = []
    for line in lines:
        for key in line:
            expected.append(key)
            if ok[key]:
                break
    assert sorted(written) == sorted(expected)


def test_open_are_the_rows_that_wait_or_run_and_no_more_than_a_target_needs():
    made = schedule(*"abcdefgh")
    taken(made, n=3)
    assert made.n_open == 8
    end(made, "a", accepted=True)
    assert made.n_open == 7
    aimed = schedule(*"abcdefghijkLMNOPQ", policy=Policy(target_accepted=2))
    assert aimed.n_open == 4  # two of each method
    taken(aimed, n=3)
    end(aimed, "ab", accepted=True)
    assert aimed.n_open == 2
