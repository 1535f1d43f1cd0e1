"""What `fireact show` prints, and that no text of a file is ever more than text to a terminal."""

import io
import json
import re
from dataclasses import replace

import pytest
from fakes import finished_trajectory
from rich.console import Console

from fireact_ray.curation.records import record_of
from fireact_ray.errors import DataError, InputError
from fireact_ray.showing import print_record, show
from fireact_ray.store import Folder, write_trajectories
from fireact_ray.types import Action, Observation, Score, Step, StopReason

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


def test_tokens_are_of_the_runs_student_and_of_a_given_one(tmp_path):
    run = run_of(tmp_path, ROW)
    marked = shown(run, tokens=True)
    assert "⟦Thought: t\nAction: search[q [1]]<eos>⟧\nObservation: o\n⟦Thought: t2" in marked
    (part,) = (tmp_path / "run" / "trajectories").glob("*.parquet")
    assert shown(part, tokens=True, recipe="demo") == marked
    with pytest.raises(InputError, match=r"names no student\. Give --recipe"):
        shown(part, tokens=True)


def test_trained_tokens_are_green_where_there_is_colour(tmp_path):
    text = shown(run_of(tmp_path, ROW), tokens=True, coloured=True)
    green = re.findall(r"\x1b\[32m(.*?)\x1b\[0m", text, re.DOTALL)
    assert green == ["Thought: t", "Action: search[q [1]]<eos>", "Thought: t2", "Action: finish[Ila Dun]<eos>"]
    assert "⟦" not in text


def test_a_row_that_must_not_be_trained_on_has_no_training_row(tmp_path):
    with pytest.raises(DataError, match="its answer is wrong"):
        shown(run_of(tmp_path, *MANY), row=4, tokens=True)


HOSTILE = {
    "colour": "\x1b[31mred\x1b[0m",
    "clear screen": "\x1b[2J\x1b[H",
    "cursor up and overwrite": "\x1b[1A\x1b[2Kfake",
    "title": "\x1b]0;owned\x07",
    "hyperlink": "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "clipboard": "\x1b]52;c;cm0gLXJm\x07",
    "notification": "\x1b]9;hello\x07",
    "iTerm file": "\x1b]1337;File=inline=1:AAAA\x07",
    "device attributes": "\x1b[c",
    "report cursor": "\x1b[6n",
    "answerback": "\x05",
    "window size": "\x1b[8;1;1t",
    "alternate screen": "\x1b[?1049h",
    "mouse reports": "\x1b[?1000h",
    "bracketed paste off": "\x1b[?2004l",
    "reset": "\x1bc",
    "DCS": "\x1bP$q\x1b\\",
    "sixel": "\x1bPq#0;2;0;0;0\x1b\\",
    "APC": "\x1b_G a=d\x1b\\",
    "PM": "\x1b^x\x1b\\",
    "C1 CSI": "\x9b31m",
    "C1 OSC": "\x9d0;x\x9c",
    "C1 DCS": "\x90q\x9c",
    "shift out": "\x0e\x0f",
    "backspace": "safe\b\b\b\bevil",
    "carriage return": "safe\rEvil",
    "vertical tab and form feed": "a\vb\fc",
    "delete": "a\x7fb",
    "null": "a\x00b",
    "bell": "\x07\x07",
    "next line": "a\x85b",
    "line separator": "a\u2028Thought: b",
    "paragraph separator": "a\u2029Action: finish[x]",
    "direction override": "\u202egnp.exe\u202c",
    "isolate": "\u2066x\u2069",
    "right-to-left mark": "\u200fx",
    "zero width": "s\u200be\u200dc\u2060r\ufefft",
    "tag characters": "\U000e0041\U000e0042",
    "soft hyphen": "a\u00adb",
    "lone surrogate": "a\ud800b",
    "private use": "\ue000\uf8ff",
    "rich markup": "[bold red]x[/bold red] [link=http://evil.example]y[/link]",
    "unbalanced markup": "[/] [/red] [",
    "emoji code": ":smiley: :skull:",
    "html": "<script>alert(1)</script><img src=x onerror=y>",
    "forged line": "\nThought: forged\nAction: finish[forged]",
}


def printed(row, *, coloured: bool = False) -> str:
    """As a file's reader gives it: Parquet holds no lone surrogates, JSON does."""
    out = io.StringIO()
    print_record(record_of(row, 1), Console(file=out, width=200, force_terminal=coloured, color_system=None))
    return out.getvalue()


def is_inert(text: str) -> bool:
    return all(c == "\n" or c.isprintable() for c in text)


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


@pytest.mark.parametrize("kind", [kind for kind in HOSTILE if kind != "lone surrogate"])
def test_hostile_text_among_tokens_is_inert(kind, tmp_path):
    first, last = ROW.steps
    row = replace(ROW, steps=(replace(first, observation=Observation(HOSTILE[kind])), last))
    text = shown(run_of(tmp_path, row), tokens=True)
    assert is_inert(text)
