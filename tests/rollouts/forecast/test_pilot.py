from dataclasses import replace

import pytest
from fakes import finished_trajectory, question

from fireact_ray.agent.quota.budget import Price, Spent
from fireact_ray.core.types import Action, Observation, Step, Usage
from fireact_ray.rollouts.forecast.amounts import Amounts
from fireact_ray.rollouts.forecast.pilot import Pilot, paid_amounts, spread

PRICE = Price(1.0, 10.0)


def row(key: str, question_id: str, method: str = "react", n_searches: int = 1, tokens: int = 100, attempt: int = 0):
    """Searches and a finish, each call of `tokens` prompt and a tenth of completion tokens, of 2 s and 1 s."""
    usage = Usage(tokens, tokens // 10)
    search = Step("t", Action("search", "q"), Observation("o"), "raw", usage, 2.0, 1.0)
    finish = Step("t", Action("finish", "Ila Dun"), None, "raw", usage, 2.0)
    asked = replace(question(), id=question_id)
    steps = (search,) * n_searches + (finish,)
    return finished_trajectory(key, question=asked, method=method, attempt=attempt, steps=steps)


def test_a_row_is_what_it_took():
    pilot = Pilot.of([row("a", "q1", n_searches=2)], {}, PRICE)
    one = Amounts(3, 300, 30, 0.0006, 2, 6.0, 8.0)
    assert pilot.by_method == {"react": [one]}
    assert (pilot.n_rows, pilot.taken) == (1, one)


def test_attempts_at_one_question_are_one_measurement_their_mean():
    rows = [row("a", "q1", n_searches=1), row("b", "q1", n_searches=3, attempt=1), row("c", "q2", n_searches=1)]
    pilot = Pilot.of(rows, {}, PRICE)
    assert [measured.calls for measured in pilot.by_method["react"]] == [3, 2]
    assert (pilot.n_rows, pilot.taken.calls) == (3, 8)


def test_methods_are_kept_apart():
    pilot = Pilot.of([row("a", "q1", "cot", 0), row("b", "q1", "react")], {}, PRICE)
    assert {method: [q.calls for q in measured] for method, measured in pilot.by_method.items()} == {
        "cot": [1],
        "react": [2],
    }


def test_a_reply_that_was_paid_but_is_no_step_counts():
    pilot = Pilot.of([row("a", "q1")], {"a": Spent(3, Usage(300, 512))}, PRICE)
    assert (pilot.taken.calls, pilot.taken.completion_tokens) == (3, 512)


def test_money_without_a_price_is_unknown_and_not_0():
    pilot = Pilot.of([row("a", "q1")], {}, None)
    assert (pilot.taken.calls, pilot.taken.cost_usd) == (2, None)
    assert paid_amounts(Spent(1, Usage(5, 5)), None).cost_usd is None
    assert paid_amounts(Spent(), None).cost_usd is None


def test_tokens_that_one_server_did_not_count_are_unknown_for_all():
    pilot = Pilot.of([row("a", "q1"), row("b", "q2", tokens=0)], {}, PRICE)
    assert (pilot.taken.calls, pilot.taken.prompt_tokens, pilot.taken.cost_usd) == (4, None, None)


@pytest.mark.parametrize(
    ("n", "chosen"),
    [(0, []), (1, [0]), (3, [0, 3, 6]), (4, [0, 2, 5, 7]), (10, list(range(10))), (99, list(range(10)))],
)
def test_a_pilot_is_spread_evenly_over_the_order_of_the_questions(n, chosen):
    assert spread(range(10), n) == chosen
