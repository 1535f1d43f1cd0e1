from collections import Counter
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fireact_ray.core.errors import DataError
from fireact_ray.data.selection import mixing
from fireact_ray.data.selection.candidates import Candidate


def row(key: str, method: str = "react", question: str = "q", task: str = "jsonl", **changes) -> Candidate:
    facts = {"attempt": 0, "n_steps": 2, "thought_chars": 9, "conversation": key.encode()}
    return Candidate(key, task, question, method, **facts | changes)


def rows(**counts: int) -> list[Candidate]:
    """So many rows of each method, in seeded order."""
    made = [row(f"{method}{i}", method) for method, count in counts.items() for i in range(count)]
    return mixing.in_seeded_order(made, 0)


def by_method(found: list[Candidate]) -> dict[str, int]:
    return dict(Counter(row.method for row in found))


def method(row: Candidate) -> str:
    return row.method


def task(row: Candidate) -> str:
    return row.task


def test_the_order_depends_on_seed_and_keys_only():
    made = [row(str(i)) for i in range(20)]
    order = mixing.in_seeded_order(made, 0)
    assert mixing.in_seeded_order(made[::-1], 0) == order
    assert mixing.in_seeded_order(made, 1) != order
    assert [r for r in order if int(r.trajectory_id) < 10] == mixing.in_seeded_order(made[:10], 0)


def test_of_each_question_the_earliest_or_the_shortest_row():
    long = row("a", question="q1", attempt=0)
    short = row("b", question="q1", attempt=1, n_steps=1)
    other = row("c", question="q2", attempt=5)
    assert mixing.first_per_question([short, other, long]) == [other, long]
    assert mixing.shortest_per_question([long, other, short]) == [other, short]


def test_only_what_is_named_is_taken():
    passes = mixing.named({"react": None, "cot": None}, method)
    assert by_method(passes(rows(react=3, cot=2, reflexion=4))) == {"react": 3, "cot": 2}


def test_counts_are_upper_bounds():
    found = mixing.counted([({"react": 3, "cot": 5, "reflexion": None}, method)])(rows(react=9, cot=2, reflexion=7))
    assert by_method(found) == {"react": 3, "cot": 2, "reflexion": 7}


def test_a_row_that_one_count_has_no_room_for_takes_none_of_the_others():
    made = [row(f"{kind}{i}", m, kind=kind) for i in range(20) for m, kind in (("react", "2hop"), ("cot", "sum"))]
    mixes = [({"react": 6, "cot": 6}, method), ({"2hop": 4, "sum": 9, "trap": 5}, lambda row: row.kind)]
    found = mixing.counted(mixes)([*made, row("t", "react", kind="trap")])
    assert Counter((r.method, r.kind) for r in found) == {("react", "2hop"): 4, ("cot", "sum"): 6, ("react", "trap"): 1}


def test_shares_hold_in_every_front_part_and_end_with_the_group_that_runs_out():
    found = mixing.shared([({"react": 0.5, "cot": 0.3, "reflexion": 0.2}, method)])(
        rows(react=100, cot=30, reflexion=100)
    )
    assert by_method(found) == {"react": 51, "cot": 30, "reflexion": 20}
    for n in range(1, 102):
        taken = Counter(r.method for r in found[:n])
        assert all(
            abs(taken[name] - share * n) <= 1 for name, share in (("react", 0.5), ("cot", 0.3), ("reflexion", 0.2))
        )


def test_shares_of_methods_and_of_tasks_hold_together():
    made = [row(f"{m}{t}{i}", m, task=t) for m in ("react", "cot") for t in ("jsonl", "mmlu") for i in range(40)]
    mixes = [({"react": 0.75, "cot": 0.25}, method), ({"jsonl": 0.5, "mmlu": 0.5}, task)]
    found = mixing.shared(mixes)(mixing.in_seeded_order(made, 0))[:80]
    assert Counter((method(r), task(r)) for r in found) == {
        ("react", "jsonl"): 30,
        ("react", "mmlu"): 30,
        ("cot", "jsonl"): 10,
        ("cot", "mmlu"): 10,
    }


def test_shares_of_kinds_that_no_row_is_of_are_refused_by_name():
    made = [row("a", kind="2hop"), row("b", kind="sum"), row("c")]
    assert mixing.of_kinds({"sum": 1.0})(made) == [made[1]]
    with pytest.raises(DataError, match=r"names sums, of which no row is left\. There are rows of: 2hop, sum"):
        mixing.of_kinds({"2hop": 0.5, "sums": 0.5})(made)


def test_a_share_of_nothing_is_refused():
    with pytest.raises(DataError, match="a share of cot, and no row of it is left"):
        mixing.shared([({"react": 0.5, "cot": 0.5}, method)])(rows(react=3))


def test_fewer_rows_than_n_are_refused():
    with pytest.raises(DataError, match=r"convert\.n = 4, but only 3 rows are left"):
        mixing.first(4)(rows(react=3))


@settings(deadline=None)
@given(
    st.integers(0, 30),
    st.integers(1, 30),
    st.sampled_from([{"react": 0.7, "cot": 0.3}, {"react": 0.5, "cot": 0.5}]),
    st.integers(0, 3),
)
def test_a_smaller_draw_is_the_front_of_a_larger_one(n_more, n_cot, mix, seed):
    made = [row(f"r{i}") for i in range(n_cot + n_more)] + [row(f"c{i}", "cot") for i in range(n_cot)]
    found = mixing.shared([(mix, method)])(mixing.in_seeded_order(made, seed))
    for n in range(len(found)):
        assert set(mixing.first(n)(found)) <= set(mixing.first(n + 1)(found))


KINDS = ("1hop", "2hop", "sum", "trap")
counts = st.dictionaries(st.sampled_from(KINDS), st.none() | st.integers(1, 9), min_size=1)


@settings(deadline=None)
@given(st.lists(st.sampled_from(KINDS), max_size=40), counts, st.none() | st.integers(1, 20), st.integers(0, 3))
def test_counts_leave_out_no_row_that_they_have_room_for(kinds, of_kinds, n_react, seed):
    made = [row(str(i), "react" if i % 3 else "cot", kind=kind) for i, kind in enumerate(kinds) if kind in of_kinds]
    mixes = [({"react": n_react, "cot": None}, method), (of_kinds, lambda row: row.kind)]
    order = mixing.in_seeded_order(made, seed)
    found = mixing.counted(mixes)(order)
    taken = [Counter(map(group, found)) for _, group in mixes]
    full = [
        {name for name, most in mix.items() if most is not None and n[name] >= most}
        for (mix, _), n in zip(mixes, taken, strict=True)
    ]
    assert all(n[name] <= (mix[name] or inf) for (mix, _), n in zip(mixes, taken, strict=True) for name in n)
    assert all(r.method in full[0] or r.kind in full[1] for r in order if r not in found)
    assert found == [r for r in order if r in found]
