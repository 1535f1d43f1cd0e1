"""`fireact show --tokens`: what of a row is trained."""

import io
import re
from dataclasses import replace

import pytest
from fakes import finished_trajectory
from hostile import HOSTILE, is_inert
from rich.console import Console

from fireact_ray.cli.show import show, student_of
from fireact_ray.core.errors import DataError, InputError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import write_trajectories
from fireact_ray.core.types import Observation, Score
from fireact_ray.evaluation.viewer.assemble import page_of

pytestmark = pytest.mark.torch  # transformers loads it

WHOLE = finished_trajectory("a")
ROW = replace(WHOLE, steps=WHOLE.steps[1:])


def shown(path, *, coloured=False, recipe=None) -> str:
    out = io.StringIO()
    console = Console(file=out, width=200, force_terminal=coloured, color_system="standard" if coloured else None)
    show(str(path), console, row=None, where=None, recipe=recipe, tokens=True)
    return out.getvalue()


def run_of(tmp_path, row) -> str:
    write_trajectories(Folder(str(tmp_path / "run" / "trajectories")), [row], "w")
    (tmp_path / "run" / "recipe.yaml").write_text("name: x\n")
    return str(tmp_path / "run")


def test_tokens_are_of_the_runs_student_and_of_a_given_one(tmp_path):
    run = run_of(tmp_path, ROW)
    marked = shown(run)
    assert "⟦Thought: t\nAction: search[q [1]]<eos>⟧\nObservation: o\n⟦Thought: t2" in marked
    (part,) = (tmp_path / "run" / "trajectories").glob("*.parquet")
    assert shown(part, recipe="demo") == marked
    with pytest.raises(InputError, match=r"names no student\. Give --recipe"):
        shown(part)


def test_a_page_marks_the_same_tokens(tmp_path):
    page = page_of([run_of(tmp_path, ROW)], student_of=lambda path: student_of(path, None))
    text = "".join(f"⟦{text}⟧" if trained else text for text, trained in page.bodies[0]["pieces"])
    assert text in shown(run_of(tmp_path, ROW))
    assert "⟦Thought: t\nAction: search[q [1]]<eos>⟧\nObservation: o\n⟦Thought: t2" in text


def test_trained_tokens_are_green_where_there_is_colour(tmp_path):
    text = shown(run_of(tmp_path, ROW), coloured=True)
    green = re.findall(r"\x1b\[32m(.*?)\x1b\[0m", text, re.DOTALL)
    assert green == ["Thought: t", "Action: search[q [1]]<eos>", "Thought: t2", "Action: finish[Ila Dun]<eos>"]
    assert "⟦" not in text


def test_a_row_that_must_not_be_trained_on_has_no_training_row(tmp_path):
    with pytest.raises(DataError, match="its answer is wrong"):
        shown(run_of(tmp_path, replace(ROW, score=Score(0.0, 0.0))))


@pytest.mark.parametrize("kind", [kind for kind in HOSTILE if kind != "lone surrogate"])
def test_hostile_text_among_tokens_is_inert(kind, tmp_path):
    first, last = ROW.steps
    row = replace(ROW, steps=(replace(first, observation=Observation(HOSTILE[kind])), last))
    text = shown(run_of(tmp_path, row))
    assert is_inert(text)
