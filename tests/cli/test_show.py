"""What `fireact show` prints, and that no text of a file is ever more than text to a terminal."""

import io
import json
import re
from dataclasses import replace

import pytest
from fakes import finished_trajectory
from hostile import HOSTILE, is_inert
from rich.console import Console

from fireact_ray.cli.show import print_record, show
from fireact_ray.core.errors import InputError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import write_trajectories
from fireact_ray.core.types import Action, Observation, Score, Step, StopReason
from fireact_ray.data.formats.records import record_of

WHOLE = finished_trajectory("a", cost_usd=0.25)
ROW = replace(WHOLE, steps=WHOLE.steps[1:])


def shown(path, *, coloured=False, **asked) -> str:
    out = io.StringIO()
    console = Console(file=out, width=200, force_terminal=coloured, color_system="standard" if coloured else None)
    show(str(path), console, **{"row": None, "where": None, "recipe": None, "tokens": False, **asked})
    return out.getvalue()


def run_of(tmp_path, *rows) -> str:
    write_trajectories(Folder(str(tmp_path / "run" / "trajectories")), rows, "w")
    (tmp_path / "run" / "recipe.yaml").write_text("name: x\n")
    return str(tmp_path / "run")


def test_a_row_is_readable_at_a_glance(tmp_path):
    assert shown(run_of(tmp_path, ROW)).splitlines() == [
        "row 1 of 1",
        "trajectory a, question jsonl/q1",
        "react by m, attempt 0, finished, EM 1.00, F1 1.00, $0.250000, 7 + 3 tokens",
        "expected: Ila Dun",
        "Question: Who wrote The Road to Zem?",
        "Thought: t",
        "Action: search[q [1]]",
        "Observation: o",
        "  model 0.50 s, 3 + 2 tokens, search 0.10 s",
        "Thought: t2",
        "Action: finish[Ila Dun]",
        "  model 0.25 s, 4 + 1 tokens",
        "Answer: Ila Dun",
        "2 steps, 1 searches, 0.85 s, EM 1",
    ]


def test_what_is_unknown_is_said_to_be_and_an_error_is_shown(tmp_path):
    row = replace(ROW, score=None, cost_usd=None, steps=(), stop_reason=StopReason.TIMEOUT, error="Timeout: 600 s")
    text = shown(run_of(tmp_path, row))
    assert "timeout, unscored, unknown cost" in text
    assert "Error: Timeout: 600 s" in text
    assert "Answer: none (timeout)" in text


CONVERSATION = [
    {"role": "user", "content": "How deep?"},
    {"role": "assistant", "content": "Thought: So.\nAction: finish[410 m]"},
]


def test_a_file_is_shown_by_the_row_numbers_of_lint(tmp_path):
    lines = ["", json.dumps({"messages": CONVERSATION}), "", json.dumps({"messages": CONVERSATION[:1]})]
    (tmp_path / "x.jsonl").write_text("\n".join(lines))
    assert "row 2 of 2" in shown(tmp_path / "x.jsonl")
    assert "Action: finish[410 m]" in shown(tmp_path / "x.jsonl", row=2)
    unreadable = shown(tmp_path / "x.jsonl", row=4)
    assert "Unreadable: no_steps" in unreadable
    assert "user: How deep?" in unreadable
    with pytest.raises(InputError, match=r"--row 3: .* holds rows 2 to 4, and no such one"):
        shown(tmp_path / "x.jsonl", row=3)


def test_a_parquet_file_is_shown(tmp_path):
    run = run_of(tmp_path, ROW)
    (part,) = (tmp_path / "run" / "trajectories").glob("*.parquet")
    assert shown(part) == shown(run)


MANY = [
    replace(ROW, trajectory_id="a"),
    replace(ROW, trajectory_id="b", score=Score(0.0, 0.5), method="cot"),
    replace(ROW, trajectory_id="c", score=None, stop_reason=StopReason.MAX_STEPS),
    replace(ROW, trajectory_id="d", score=Score(0.0, 0.0)),
]


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("correct", "1 are correct: 1"),
        ("wrong", "2 are wrong: 2 4"),
        ("unscored", "1 are unscored: 3"),
        ("cot", "1 are cot: 2"),
        ("max_steps", "1 are max_steps: 3"),
        ("finished", "3 are finished: 1 2 4"),
    ],
)
def test_where_picks_the_first_of_a_kind_and_names_the_others(where, rows, tmp_path):
    lines = shown(run_of(tmp_path, *MANY), where=where).splitlines()
    assert lines[1] == rows
    assert lines[0] == f"row {rows.split(': ')[1].split()[0]} of 4"


def test_with_where_a_row_is_the_first_from_there_on(tmp_path):
    run = run_of(tmp_path, *MANY)
    assert shown(run, where="wrong", row=3).startswith("row 4 of 4")
    with pytest.raises(InputError, match="holds rows 1 to 1"):
        shown(run, where="correct", row=2)


def test_where_without_a_row_says_what_there_is(tmp_path):
    with pytest.raises(InputError, match=r"no row is 'reflexion'\. There are: correct, finished, react\."):
        shown(run_of(tmp_path, ROW), where="reflexion")


def printed(row, *, coloured: bool = False) -> str:
    """As a file's reader gives it: Parquet holds no lone surrogates, JSON does."""
    out = io.StringIO()
    print_record(record_of(row, 1), Console(file=out, width=200, force_terminal=coloured, color_system=None))
    return out.getvalue()


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_text_is_inert_wherever_it_stands(kind):
    payload = HOSTILE[kind]
    steps = (
        Step(payload, Action(payload, payload), Observation(payload), payload),
        Step(payload, Action("finish", payload), None, payload),
    )
    asked = replace(ROW.question, id=payload, text=payload, answers=(payload,), kind=payload, task=payload)
    row = replace(ROW, trajectory_id=payload, question=asked, steps=steps, method=payload, model=payload, error=payload)
    text = printed(row)
    assert is_inert(text)
    assert len(text.splitlines()) == 12  # no line is forged
    text.encode()
    assert is_inert(re.sub(r"\x1b\[[\d;]*m", "", printed(row, coloured=True)))


def test_markup_is_shown_as_it_is_written():
    text = printed(replace(ROW, method="[bold]x[/bold]", model=":smiley:"))
    assert "[bold]x[/bold] by :smiley:" in text


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_text_of_an_unreadable_row_is_inert(kind, tmp_path):
    row = {"messages": [{"role": "user", "content": HOSTILE[kind]}, {"role": "assistant", "content": HOSTILE[kind]}]}
    (tmp_path / "x.jsonl").write_text(json.dumps(row))
    text = shown(tmp_path / "x.jsonl")
    assert is_inert(text)
