"""Which of the rows that may be trained on are chosen: per question, by quotas and shares, and so many."""

from collections import Counter
from dataclasses import replace

import pytest

from fireact_ray.core.errors import DataError
from fireact_ray.data.selection.candidates import Candidate
from fireact_ray.data.selection.config import ConvertConfig
from fireact_ray.data.selection.selection import choose

pytestmark = pytest.mark.slow


def of_methods(**counts: int) -> list[Candidate]:
    return [
        Candidate(f"{method}{i}", "jsonl", f"q{i}", method, 0, 2, 9, f"{method}{i}".encode())
        for method, count in counts.items()
        for i in range(count)
    ]


def test_everything_is_chosen_by_default():
    kept, report, _ = choose(of_methods(react=3, cot=2), ConvertConfig(), seed=0)
    assert (len(kept), dict(report.dropped)) == (5, {"duplicate": 0})


def test_lines_that_look_at_all_rows_are_applied_in_their_order_and_counted():
    config = ConvertConfig(per_question="first", methods={"react": 5, "cot": 9}, tasks=["jsonl"], n=6)
    rows = of_methods(cot=4, react=10, reflexion=12)
    kept, report, _ = choose(rows, config, seed=0)
    assert dict(report.dropped) == {
        "methods": 12,
        "tasks": 0,
        "duplicate": 0,
        "per_question": 4,
        "quotas": 1,
        "n": 3,
    }
    assert len(kept) == 6


def test_no_row_of_a_method_that_is_left_out_stands_in_for_one_of_a_method_that_is_not():
    react = of_methods(react=6)
    reflexion = [replace(row, trajectory_id=f"a{n}", method="reflexion", n_steps=1) for n, row in enumerate(react)]
    for config in (ConvertConfig(methods=["react"]), ConvertConfig(methods=["react"], per_question="shortest")):
        kept, report, _ = choose([*reflexion, *react], config, seed=0)
        assert (len(kept), report.dropped["methods"], report.dropped["duplicate"]) == (6, 6, 0)
    both, _, _ = choose([*reflexion, *react], ConvertConfig(methods=["react", "reflexion"]), seed=0)
    assert len(both) == 6


def test_it_does_not_matter_in_which_order_the_rows_lie():
    rows = of_methods(cot=40, react=100)
    twins = [replace(row, trajectory_id=f"{row.trajectory_id}x") for row in rows]
    config = ConvertConfig(per_question="first", n=20)
    assert choose(rows + twins, config, seed=0) == choose((rows + twins)[::-1], config, seed=0)


def test_shares_are_drawn_exactly_and_smaller_draws_lie_within_larger_ones():
    rows = of_methods(cot=60, react=100, reflexion=10)
    drawn: list[set[str]] = []
    for n in (10, 20, 50):
        kept, report, _ = choose(rows, ConvertConfig(methods={"react": 0.6, "cot": 0.4}, n=n), seed=3)
        assert sum(row.method == "cot" for row in kept) == 0.4 * n
        assert dict(report.dropped) == {"duplicate": 0, "methods": 10, "shares": 9, "n": 151 - n}
        drawn.append({row.trajectory_id for row in kept})
    assert drawn[0] < drawn[1] < drawn[2]


def test_shares_of_kinds_of_questions_hold_beside_those_of_methods():
    rows = [
        replace(row, kind="sum" if place % 10 == 0 else "2hop")
        for place, row in enumerate(of_methods(react=100, reflexion=100))
    ]
    config = ConvertConfig(methods={"react": 0.5, "reflexion": 0.5}, kinds={"2hop": 0.8, "sum": 0.2}, n=50)
    kept, report, _ = choose(rows, config, seed=0)
    assert Counter((row.kind, row.method) for row in kept) == {
        ("2hop", "react"): 20,
        ("2hop", "reflexion"): 20,
        ("sum", "react"): 5,
        ("sum", "reflexion"): 5,
    }
    assert dict(report.dropped) == {"duplicate": 0, "methods": 0, "kinds": 0, "shares": 96, "n": 54}


def of_kinds(**counts: int) -> list[Candidate]:
    return [replace(row, kind=row.method, method="react") for row in of_methods(**counts)]


def test_counts_of_kinds_are_taken_as_far_as_there_are_rows_and_what_is_missing_is_named():
    rows = of_kinds(two=30, sum=7, trap=5)
    config = ConvertConfig(kinds={"two": 20, "sum": 9, "yesno": 4, "trap": None})
    kept, report, short = choose(rows, config, seed=0)
    assert Counter(row.kind for row in kept) == {"two": 20, "sum": 7, "trap": 5}
    assert (report.n_in, dict(report.dropped)) == (42, {"duplicate": 0, "kinds": 0, "quotas": 10})
    assert [str(each) for each in short] == [
        "convert.kinds would take more rows than there are: sum 7 of 9, yesno 0 of 4"
    ]
    assert choose(of_kinds(two=20, sum=9, yesno=4, trap=1), config, seed=0).short == ()


def test_where_a_name_fits_no_row_the_names_that_were_left_out_are_said():
    rows = [*of_kinds(two=3, sum=2), *of_methods(cot=1)]
    kept, report, (short,) = choose(rows, ConvertConfig(kinds=["two", "sums"]), seed=0)
    assert (len(kept), dict(report.dropped)) == (3, {"duplicate": 0, "kinds": 3})
    assert str(short) == (
        "convert.kinds would take more rows than there are: sums 0; it leaves out rows of no kind, sum"
    )
    assert short.to_dict() == {"groups": {"sums": {"found": 0, "most": None}}, "unnamed": ["", "sum"]}
    many = choose(of_kinds(**{f"k{i}": 1 for i in range(10, 30)}), ConvertConfig(kinds=["k1"]), seed=0)
    assert str(many.short[0]).endswith(
        "k1 0; it leaves out k10, k11, k12, k13, k14, k15, k16, k17, k18, k19, k20, k21 and 8 more"
    )


def test_what_is_short_is_counted_among_rows_that_all_lists_name():
    rows = [replace(row, method=method) for row in of_kinds(two=4) for method in ("react", "cot")]
    rows = [replace(row, conversation=f"{place}".encode()) for place, row in enumerate(rows)]
    config = ConvertConfig(methods={"react": 3, "reflexion": 2}, kinds={"two": 5})
    kept, report, short = choose(rows, config, seed=0)
    assert (len(kept), dict(report.dropped)) == (3, {"duplicate": 0, "methods": 4, "kinds": 0, "quotas": 1})
    assert [(each.setting, dict(each.found)) for each in short] == [
        ("methods", {"reflexion": 0}),
        ("kinds", {"two": 4}),
    ]


def test_smaller_draws_lie_within_larger_ones_where_kinds_have_counts():
    rows = of_kinds(two=60, sum=9, trap=40)
    drawn = []
    for n in (10, 20, 50):
        config = ConvertConfig(kinds={"two": 30, "sum": 10, "trap": 12}, n=n)
        kept, report, _ = choose(rows, config, seed=3)
        assert dict(report.dropped) == {"duplicate": 0, "kinds": 0, "quotas": 58, "n": 51 - n}
        drawn.append({row.trajectory_id for row in kept})
    assert drawn[0] < drawn[1] < drawn[2]


def test_too_few_rows_for_n_name_the_kinds_that_are_short():
    with pytest.raises(DataError, match=r"n = 30, but only 29 rows .* all\. convert\.kinds would .*: sum 9 of 10\."):
        choose(of_kinds(two=60, sum=9), ConvertConfig(kinds={"two": 20, "sum": 10}, n=30), seed=0)
