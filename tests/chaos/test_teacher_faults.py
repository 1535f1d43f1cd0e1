"""A teacher that limits, fails, hangs and talks nonsense: every row ends, and none with what it never said."""

import pytest
from commands import until

from fireact_ray.core.types import StopReason, Trajectory
from fireact_ray.demo.teacher.faults import Fault, FaultRates

from . import invariants
from .scene import Scene, scene

pytestmark = [pytest.mark.chaos, pytest.mark.ray]

NO_REPLY = {Fault.RATE_LIMITED, Fault.SERVER_ERROR, Fault.RESET, Fault.HANG}
MALFORMED = [fault for fault in Fault if fault not in NO_REPLY]


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """(questions -> what a faultless teacher says to each)"""
    known: dict[tuple[int, int], dict[str, list]] = {}

    def of(seed: int, n_rows: int) -> dict[str, list]:
        if (seed, n_rows) not in known:
            with scene(tmp_path_factory.mktemp("faultless"), seed, n_rows, workers=1) as made:
                made.generate_here()
                known[seed, n_rows] = {row.question.id: words(row) for row in made.rows}
        return known[seed, n_rows]

    return of


def words(row: Trajectory) -> list:
    return [(step.thought, step.action, step.observation, step.completion) for step in row.steps]


def model(made: Scene, settings: str) -> str:
    where = f"kind: openai, name: {made.teacher.model_name}, base_url: '{made.teacher.base_url}', api_key_env: null"
    return f"teacher.model={{{where}, {settings}}}"


def check(made: Scene, expected: dict[str, list]) -> None:
    """I1, I2, I4; and what a row holds is what the teacher would have said without its faults, to its end or less."""
    invariants.every_row_once(made)
    invariants.canaries_stay_at_home(made)
    for row in made.rows:
        whole = expected[row.question.id]
        if row.stop_reason is StopReason.FINISHED:
            assert words(row) == whole
        else:
            assert row.stop_reason in (StopReason.MODEL_ERROR, StopReason.MAX_TOKENS)
            assert words(row) == whole[: len(row.steps)]
            assert row.error
            assert row.answer is None


def test_429s_use_up_no_attempt(chaos, tmp_path, local_ray, said):
    n_rows = chaos.either(24, 300)
    faults = FaultRates(rate_limited=0.3, retry_after_s=0.05, seed=chaos.seed)
    with scene(tmp_path, chaos.seed, n_rows, workers=1, faults=faults) as made:
        assert made.generate(model(made, "max_attempts: 1")).code == 0
        check(made, said(chaos.seed, n_rows))
        calls = made.teacher.stats()["calls"]
        assert {row.stop_reason for row in made.rows} == {StopReason.FINISHED}
        assert calls["200"] == sum(len(row.steps) for row in made.rows)
        assert calls["429"] > 0
    chaos.note(f"{n_rows} rows: {calls}")


def test_5xx_and_resets_are_tried_again_and_calls_that_hang_are_given_up_and_made_again(
    chaos, tmp_path, local_ray, said
):
    n_rows = chaos.either(24, 300)
    faults = FaultRates(server_error=0.1, reset=0.1, hang=0.1, seed=chaos.seed)
    with scene(tmp_path, chaos.seed, n_rows, workers=1, faults=faults) as made:
        assert made.generate(model(made, "max_attempts: 8, timeout_s: 1")).code == 0
        check(made, said(chaos.seed, n_rows))
        calls = made.teacher.stats()["calls"]
        assert {row.stop_reason for row in made.rows} == {StopReason.FINISHED}
        assert calls["500"] > 0
        assert calls["reset"] > 0
        assert calls["hang"] > 0
        assert until(lambda: made.teacher.stats()["in_flight"] == 0, 300), "a call was given up and its connection kept"
    chaos.note(f"{n_rows} rows: {calls}")


def test_malformed_replies_end_typed_and_never_become_an_answer(chaos, tmp_path, local_ray, said):
    """Each shape so often that some rows run out of attempts."""
    n_rows = chaos.either(24, 600)
    rates = {str(shape): 0.6 / len(MALFORMED) for shape in MALFORMED}
    with scene(tmp_path, chaos.seed, n_rows, workers=1, faults=FaultRates(**rates, seed=chaos.seed)) as made:
        assert made.generate(model(made, "max_attempts: 2, timeout_s: 2")).code == 0
        check(made, said(chaos.seed, n_rows))
        ended = {row.stop_reason for row in made.rows}
        calls = made.teacher.stats()["calls"]
        assert ended > {StopReason.FINISHED}, "no row failed: nothing was tested"
        assert set(calls) > set(rates), "a shape never struck"
    chaos.note(f"{n_rows} rows: {calls}, ended {sorted(ended)}")
