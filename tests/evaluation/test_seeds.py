import json

import pytest
from evaluation_reports import report

from fireact_ray.core.errors import DataError
from fireact_ray.evaluation.seeds import over_seeds, seeds_table


def seeds(name: str, *rights: set[int]):
    return over_seeds(
        [report(f"{name}~{s}", {f"q{i}": i in right for i in range(10)}) for s, right in enumerate(rights)]
    )


def test_the_spread_over_seeds_is_that_of_their_means():
    found = seeds("tuned", set(range(5)), set(range(6)), set(range(7)))
    assert found.em.values == (50.0, 60.0, 70.0)
    assert (found.em.mean, found.em.sd) == (60.0, 10.0)
    assert (found.em.low, found.em.high) == (50.0, 70.0)
    assert found.em.interval.low == pytest.approx(60 - 4.3027 * 10 / 3**0.5, abs=0.001)
    assert str(found.em) == "60.0 ± 10.0 (50.0 to 70.0)"


def test_each_question_is_one_question_however_many_seeds_asked_it():
    found = seeds("tuned", set(range(5)), set(range(7)))
    assert len(found.scores) == 10
    assert [found.scores[f"q{i}"].exact_match for i in (0, 6, 9)] == [1.0, 0.5, 0.0]
    assert found.pooled.low < 60.0 < found.pooled.high


def test_systems_are_compared_by_question_over_all_seeds():
    base, tuned = seeds("base", {0, 1}, {0, 2}), seeds("tuned", set(range(8)), set(range(1, 8)))
    paired = tuned.versus(base)
    assert (paired.n, paired.n_only_a, paired.n_only_b) == (10, 1, 7)  # only q0 was better without training
    assert paired.difference == pytest.approx(0.55)
    assert paired.p_value == 2 * (1 + 8) / 256
    assert "+55.0 [" in seeds_table([base, tuned]).splitlines()[3]


def test_a_single_seed_has_no_spread():
    found = seeds("base", {0, 1})
    assert (found.em.mean, found.em.sd, found.em.interval) == (20.0, None, None)
    assert json.loads(json.dumps(found.to_dict()))["em"] == {
        "values": [20.0],
        "mean": 20.0,
        "sd": None,
        "min": 20.0,
        "max": 20.0,
        "low": None,
        "high": None,
    }
    assert "20.0 ± - (20.0 to 20.0)" in seeds_table([found])


def test_seeds_that_were_asked_other_questions_are_refused():
    with pytest.raises(DataError, match="scored 1 questions and 'b' 2, 1 of them the same"):
        over_seeds([report("a", {"q0": True}), report("b", {"q0": True, "q1": True})])
    with pytest.raises(DataError, match="no report"):
        over_seeds([])
