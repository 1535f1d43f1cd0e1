"""Which of a row's tokens are trained."""

from dataclasses import replace
from itertools import chain

import pytest
from viewing import row

from fireact_ray.core.types import Score
from fireact_ray.evaluation.viewer.trained import Student, TrainedRow, render_trained
from fireact_ray.rendering.base import Rendered


class Letters:
    """Ids are code points."""

    def show(self, ids):
        return "".join(map(chr, ids))

    def render(self, turns):
        ids = [[ord(char) for char in turn.content] for turn in turns]
        mask = [[int(turn.trained)] * len(found) for turn, found in zip(turns, ids, strict=True)]
        return Rendered(list(chain.from_iterable(ids)), list(chain.from_iterable(mask)))


def test_a_row_is_cut_where_its_mask_changes_and_no_token_is_lost():
    found = TrainedRow.of([97, 98, 99, 100, 101], [0, 1, 1, 0, 1], Letters())
    assert found == TrainedRow(5, 3, (("a", False), ("bc", True), ("d", False), ("e", True)))
    assert TrainedRow.of([97, 98], [0, 1], None) == TrainedRow(2, 1, ())
    with pytest.raises(ValueError, match="shorter"):
        TrainedRow.of([97, 98], [1], Letters())


def test_without_a_dataset_a_students_renderer_says_it_of_rows_that_can_be_trained_on():
    student = Student(Letters(), Letters())
    wrong = replace(row("w", "two", 0.0), score=Score(0.0, 0.5))
    found = render_trained([row("r", "one"), wrong], student)
    assert list(found) == ["r"]
    assert "".join(text for text, trained in found["r"].pieces if trained) == (
        "Thought: t\nAction: search[q [1]]Thought: t2\nAction: finish[Ila Dun]"
    )
    assert list(render_trained([wrong], replace(student, min_f1=0.5))) == ["w"]
