"""A teacher that fails every call, or one row's: what a run files as done, what stays pending, and what is paid."""

import json
import urllib.request

import pytest
from chat_server import chat_server

from fireact_ray.core.errors import DataError, SameFailure
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import read_trajectories
from fireact_ray.core.types import StopReason
from fireact_ray.rollouts.audit import audit
from fireact_ray.stages import evaluate as evaluating
from fireact_ray.stages.evaluate import evaluate
from fireact_ray.stages.generate import generate
from fireact_ray.tasks import load_questions

from .conftest import small_recipe

pytestmark = pytest.mark.ray

REFUSAL = {
    "error": {
        "message": "Unsupported value: 'temperature' does not support 0.0 with this model.",
        "type": "invalid_request_error",
        "code": "unsupported_value",
        "param": "temperature",
    }
}


class Front:
    """Stands before a teacher: `refuses` says of a request's text whether it gets a 400; all others go on to it."""

    def __init__(self, teacher) -> None:
        self.teacher_url = teacher.base_url
        self.model_name = teacher.model_name
        self.refuses = lambda text: True
        self.n_refused = self.n_answered = 0
        self.base_url = ""

    def reply(self, body: bytes) -> tuple[int, bytes]:
        if self.refuses(body.decode()):
            self.n_refused += 1
            return 400, json.dumps(REFUSAL).encode()
        self.n_answered += 1
        url, headers = f"{self.teacher_url}/chat/completions", {"Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answer:
            return 200, answer.read()


@pytest.fixture
def front(teacher):
    made = Front(teacher)
    with chat_server(made.reply) as made.base_url:
        yield made


def rows_of(recipe):
    return read_trajectories(Folder(recipe.run_dir) / "trajectories")


SMALL = ["generate.n_questions=6", "teacher.methods=[react]"]


def test_a_fault_of_every_call_stops_the_run_and_the_mended_recipe_goes_on_in_the_same_folder(
    tmp_path, local_ray, front, teacher
):
    recipe = small_recipe(tmp_path, front, *SMALL)
    with pytest.raises(SameFailure, match=r"HTTP 400 unsupported_value \(temperature\).*Put right what it names"):
        generate(recipe)
    assert front.n_refused == 1  # nothing but the first call
    assert rows_of(recipe) == []
    mended = small_recipe(tmp_path, teacher, *SMALL, "teacher.model.timeout_s=50")  # another address and time limit
    generate(mended)
    assert [row.stop_reason for row in rows_of(mended)] == [StopReason.FINISHED] * 6
    assert teacher.stats()["calls"] == {"200": sum(len(row.steps) for row in rows_of(mended))}


def test_a_fault_of_every_row_that_the_first_call_does_not_show_stops_the_run_too(tmp_path, local_ray, front):
    recipe = small_recipe(tmp_path, front, *SMALL)
    front.refuses = lambda text: front.n_answered == 1
    with pytest.raises(SameFailure, match=r"[56] rows in a row failed in the same way: ModelRefused: .*HTTP 400"):
        generate(recipe)
    found = audit(Folder(recipe.run_dir))
    assert (found.done, found.planned) == (0, 6)
    assert front.n_answered == 1
    front.refuses = lambda text: False
    generate(recipe)
    found = audit(Folder(recipe.run_dir))
    assert (found.written, found.pending, found.problems) == (6, 0, ())
    assert {row.stop_reason for row in rows_of(recipe)} == {StopReason.FINISHED}
    assert front.n_answered == sum(len(row.steps) for row in rows_of(recipe))  # the first reply is paid once


def test_one_failed_row_is_retried_by_the_next_runs_as_often_as_the_recipe_allows(tmp_path, local_ray, front, caplog):
    recipe = small_recipe(tmp_path, front, *SMALL, "generate.max_retries=1")
    victim = load_questions("almanac", None, "train", 6)[3].text  # not the first
    front.refuses = lambda text: victim in text
    for n_refused in (1, 2, 2):  # the run, its one retry, and nothing more
        generate(recipe)
        assert front.n_refused == n_refused
    failed = [row for row in rows_of(recipe) if row.stop_reason is not StopReason.FINISHED]
    assert [row.question.text for row in failed] == [victim]
    assert "1 rows failed; run the same command again to retry them" in caplog.text
    assert "1 rows failed in every retry that is allowed; --retry-failed" in caplog.text
    paid, front.refuses = front.n_answered, lambda text: False
    generate(small_recipe(tmp_path, front, *SMALL, "generate.max_retries=null"))
    assert {row.stop_reason for row in rows_of(recipe)} == {StopReason.FINISHED}
    (mended,) = [row for row in rows_of(recipe) if row.question.text == victim]
    assert front.n_answered == paid + len(mended.steps)


def test_no_report_is_made_while_rows_are_pending(tmp_path, local_ray, teacher, monkeypatch):
    recipe = small_recipe(tmp_path, teacher, "evaluate={split: test, n_questions: 4, systems: [teacher]}")
    monkeypatch.setattr(evaluating, "run_rollouts", lambda *_, **__: None)  # as if it had been cut short
    with pytest.raises(DataError, match="4 of 4 rows are pending, so there is no report"):
        evaluate(recipe)
    assert not Folder(recipe.run_dir).exists("evaluations/report.md")
    monkeypatch.undo()
    assert [(report.n_planned, report.n_finished) for report in evaluate(recipe)] == [(4, 4)]
