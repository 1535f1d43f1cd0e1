"""A teacher that fails every call, or one row's: what a run files as done, what stays pending, and what is paid."""

import json
import logging
import re
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from chat_server import chat_server

from fireact_ray.core.errors import DataError, SameFailure
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import read_trajectories
from fireact_ray.core.types import StopReason
from fireact_ray.demo.teacher.brain import BrainConfig
from fireact_ray.demo.teacher.server import ScriptedTeacher
from fireact_ray.rollouts.audit import Audit, audit
from fireact_ray.stages import evaluate as evaluating
from fireact_ray.stages.evaluate import evaluate
from fireact_ray.stages.generate import generate
from fireact_ray.tasks import load_questions

from .conftest import small_recipe
from .interrupting import Said

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


@contextmanager
def front_of(teacher):
    made = Front(teacher)
    with chat_server(made.reply) as made.base_url:
        yield made


def rows_of(recipe):
    return read_trajectories(Folder(recipe.run_dir) / "trajectories")


@dataclass(frozen=True)
class After:
    """What one command of the story has left. `error`: what it raised."""

    error: str
    said: str
    n_refused: int  # by the provider so far
    n_answered: int
    rows: list
    found: Audit | None


class Story:
    """One run folder over 6 questions, each of whose rows is retried twice, through these commands in turn:
    `refused`: every call gets a 400;
    `after_one`: at another address, where every call but the first gets one;
    `victims`: the calls of one question, the fourth, get one; the same command three times more;
    `mended`: none does, at the teacher's own address, with another time limit and any number of retries."""

    def __init__(self, folder, teacher) -> None:
        self.victim = load_questions("almanac", None, "train", 6)[3].text
        small = ["generate.n_questions=6", "teacher.methods=[react]", "generate.max_retries=2"]
        with front_of(teacher) as deaf, front_of(teacher) as front:
            self.refused = self._generate(deaf, small_recipe(folder, deaf, *small))
            recipe = small_recipe(folder, front, *small)
            front.refuses = lambda text: front.n_answered == 1
            self.after_one = self._generate(front, recipe)
            front.n_refused, front.refuses = 0, lambda text: self.victim in text
            self.victims = [self._generate(front, recipe) for _ in range(4)]
            front.refuses = lambda text: False
            mended = [*small, "generate.max_retries=null", "teacher.model.timeout_s=50"]
            self.mended = self._generate(front, small_recipe(folder, teacher, *mended))
        self.calls = teacher.stats()["calls"]

    @staticmethod
    def _generate(front: Front, recipe) -> After:
        said, error, logger = Said(), "", logging.getLogger("fireact_ray")
        logger.addHandler(said)
        try:
            generate(recipe)
        except SameFailure as raised:
            error = str(raised)
        finally:
            logger.removeHandler(said)
        found = audit(Folder(recipe.run_dir))
        return After(error, said.text, front.n_refused, front.n_answered, rows_of(recipe), found)


@pytest.fixture(scope="module")
def story(tmp_path_factory, local_ray) -> Story:
    with ScriptedTeacher(BrainConfig(seed=0, error_rate=0.1)) as teacher:
        return Story(tmp_path_factory.mktemp("runs"), teacher)


def reasons(after: After) -> set[StopReason]:
    return {row.stop_reason for row in after.rows}


def test_a_fault_of_every_call_stops_the_run_behind_the_first(story):
    assert re.search(r"HTTP 400 unsupported_value \(temperature\).*Put right what it names", story.refused.error)
    assert (story.refused.n_refused, story.refused.rows) == (1, [])


def test_a_fault_of_every_row_that_the_first_call_does_not_show_stops_the_run_too(story):
    said = r"[56] rows in a row failed in the same way: ModelRefused: .*HTTP 400"
    assert re.search(said, story.after_one.error)
    assert (story.after_one.found.done, story.after_one.found.planned) == (0, 6)
    assert story.after_one.n_answered == 1


def test_one_failed_row_is_retried_by_the_next_runs_as_often_as_the_recipe_allows(story):
    """It has failed once before, as all others had."""
    assert [after.error for after in story.victims] == [""] * 4
    assert [after.n_refused for after in story.victims] == [1, 2, 2, 2]
    first, *_, last = story.victims
    assert [row.question.text for row in last.rows if row.stop_reason is not StopReason.FINISHED] == [story.victim]
    assert (first.found.written, first.found.pending, first.found.problems) == (6, 0, ())
    assert "1 rows failed; run the same command again to retry them" in first.said
    assert "1 rows failed in every retry that is allowed; --retry-failed" in last.said


def test_the_mended_recipe_goes_on_in_the_same_folder_and_pays_for_no_reply_twice(story):
    assert reasons(story.mended) == {StopReason.FINISHED}
    assert (len(story.mended.rows), story.mended.found.pending, story.mended.found.problems) == (6, 0, ())
    (mended,) = [row for row in story.mended.rows if row.question.text == story.victim]
    n_paid = story.victims[-1].n_answered
    assert n_paid == sum(len(row.steps) for row in story.mended.rows if row is not mended)
    assert story.calls == {"200": n_paid + len(mended.steps)}


def test_no_report_is_made_while_rows_are_pending(tmp_path, local_ray, teacher, monkeypatch):
    recipe = small_recipe(tmp_path, teacher, "evaluate={split: test, n_questions: 4, systems: [teacher]}")
    monkeypatch.setattr(evaluating, "run_rollouts", lambda *_, **__: None)  # as if it had been cut short
    with pytest.raises(DataError, match="4 of 4 rows are pending, so there is no report"):
        evaluate(recipe)
    assert not Folder(recipe.run_dir).exists("evaluations/report.md")
    monkeypatch.undo()
    assert [(report.n_planned, report.n_finished) for report in evaluate(recipe)] == [(4, 4)]
