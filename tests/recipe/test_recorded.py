"""An earlier run as a system: its rows, scored anew, on exactly the questions of this evaluation."""

from dataclasses import replace

import pytest
from fakes import finished_trajectory

from fireact_ray.core.errors import InputError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import write_trajectories
from fireact_ray.core.types import Question, Score
from fireact_ray.recipe.recorded import recorded_rows
from fireact_ray.recipe.systems import RunSystem

ASKED = [Question("jsonl", f"q{number}", f"Who is {number}?", ("Ila Dun", "I. Dun")) for number in range(3)]


def written(folder, *rows) -> RunSystem:
    write_trajectories(Folder(str(folder)) / "trajectories", rows, "w")
    return RunSystem(kind="run", name="before", path=str(folder))


def row(question, **changes):
    key = "-".join([question.id, *(str(value) for value in changes.values())])
    return finished_trajectory(key, question=question, **changes)


def test_rows_are_found_by_question_in_the_order_asked_and_marked_by_today_s_answers(tmp_path):
    entry = written(tmp_path, *(row(replace(q, answers=("Bo",)), score=Score(0.0, 0.0)) for q in reversed(ASKED)))
    rows = recorded_rows(entry, ASKED[:2])
    assert [found.question for found in rows] == ASKED[:2]
    assert [found.score.exact_match for found in rows] == [1.0, 1.0]


def test_later_attempts_and_other_methods_are_left_out(tmp_path):
    rows = [row(q) for q in ASKED] + [row(ASKED[0], attempt=1), row(ASKED[1], method="cot")]
    entry = written(tmp_path, *rows)
    found = recorded_rows(entry.model_copy(update={"method": "react"}), ASKED)
    assert [(one.attempt, one.method) for one in found] == [(0, "react")] * 3


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([], "holds no trajectories. Give a run folder, or one of its evaluations/<name>"),
        ([row(ASKED[0])], "holds no first attempt at 2 of 3 questions, such as 'q1' ('Who is 1?')"),
        ([row(ASKED[0]), row(ASKED[1]), row(replace(ASKED[2], text="Who?"))], "at 1 of 3 questions, such as 'q2'"),
        (
            [*map(row, ASKED), row(ASKED[1], method="cot")],
            "several first attempts at 1 questions: by cot, react, of m. Set method to one of those",
        ),
        ([*map(row, ASKED), row(ASKED[1], model="n")], "by react, of m, n. Set method"),
    ],
)
def test_what_is_missing_or_not_clear_is_refused(rows, problem, tmp_path):
    with pytest.raises(InputError) as caught:
        recorded_rows(written(tmp_path, *rows), ASKED)
    assert problem in str(caught.value)
