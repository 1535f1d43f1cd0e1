import json

import pytest

from fireact_ray.core.types import Question, StopReason
from fireact_ray.evaluation.costs import CostColumns, distribution
from fireact_ray.evaluation.episodes import Episode

QUESTION = Question("jsonl", "q", "Which?", ("Tarn",))


def episode(**known) -> Episode:
    return Episode("k", QUESTION, "react", "m", StopReason.FINISHED, "Tarn", None, **{"n_steps": 2, **known})


def distributions(*episodes: Episode) -> dict:
    columns = CostColumns()
    for one in episodes:
        columns.add(one)
    return dict(columns.distributions())


def test_a_distribution_has_the_spread_of_the_sample_and_counts_every_row_once():
    found = distribution([1.0, 2.0, 3.0, 6.0])
    assert (found.n, found.total, found.mean, found.low, found.median, found.high) == (4, 12.0, 3.0, 1.0, 2.5, 6.0)
    assert found.sd == pytest.approx(2.160247)
    assert sum(n for _, _, n in found.bins) == 4
    assert (len(found.bins), found.bins[0][0], found.bins[-1][1]) == (20, 1.0, 6.0)


def test_whole_numbers_have_a_bin_each_and_a_single_value_has_no_spread():
    assert distribution([3, 1, 3], whole=True).bins == ((1.0, 1.0, 1), (3.0, 3.0, 2))
    assert (distribution([5.0]).sd, distribution([5.0]).bins) == (None, ((5.0, 5.0, 1),))
    assert distribution([]) is None


def test_what_nobody_measured_is_null_and_never_zero():
    found = distributions(episode(), episode(n_searches=1))
    assert {name for name, one in found.items() if one} == {"searches", "steps"}
    assert found["searches"].mean == 0.5


def test_rows_that_somebody_measured_are_not_diluted_by_the_others():
    found = distributions(
        episode(prompt_tokens=100, completion_tokens=10, model_s=2.0, cost_usd=0.5, cached_tokens=40, overhead_s=0.25),
        episode(),
    )
    assert {name: (one.n, one.mean) for name, one in found.items() if name not in ("searches", "steps")} == {
        "cost_usd": (1, 0.5),
        "prompt_tokens": (1, 100.0),
        "completion_tokens": (1, 10.0),
        "cached_tokens": (1, 40.0),
        "model_seconds": (1, 2.0),
        "tool_seconds": (1, 0.0),
        "overhead_seconds": (1, 0.25),
    }


def test_a_row_that_took_no_step_used_nothing_but_says_nothing_of_rows_without_a_measure():
    failed = episode(n_steps=0)
    assert distributions(failed, episode(prompt_tokens=100))["prompt_tokens"].mean == 50.0
    assert distributions(failed, episode())["prompt_tokens"] is None


def test_a_price_of_nothing_is_a_price():
    assert distributions(episode(cost_usd=0.0))["cost_usd"].total == 0.0


def test_it_is_plain_json():
    found = distributions(episode(cost_usd=0.25, prompt_tokens=7))
    assert json.loads(json.dumps(found["cost_usd"].to_dict())) == {
        "n": 1,
        "total": 0.25,
        "mean": 0.25,
        "sd": None,
        "min": 0.25,
        "median": 0.25,
        "max": 0.25,
        "bins": [[0.25, 0.25, 1]],
    }
