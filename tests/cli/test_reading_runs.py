"""Commands that read what a run has left: show, status, doctor."""

import json

import pytest
from forked import fireact

from .conftest import run_with_one_row

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("loaded")]


def test_show_prints_the_steps_and_no_control_characters(tmp_path):
    done = fireact("show", run_with_one_row(tmp_path))
    assert done.returncode == 0
    assert "Question: Who wrote The Road to Zem?" in done.stdout
    assert "Action: search[zem]" in done.stdout
    assert "\x1b" not in done.stdout
    assert "\x07" not in done.stdout


def test_show_tokens_marks_exactly_what_is_trained(tmp_path):
    done = fireact("show", run_with_one_row(tmp_path), "--tokens")
    assert done.returncode == 0, done.stderr
    assert "⟦Thought: Look.\nAction: search[zem]<eos>⟧" in done.stdout
    assert "⟦Thought: So.\nAction: finish[Ila Dun]<eos>⟧" in done.stdout
    assert done.stdout.count("⟦") == 2


def test_status_shows_how_a_run_gets_on_and_doctor_that_it_adds_up(tmp_path):
    run = run_with_one_row(tmp_path)
    counts = {"planned": 4, "before": 0, "done": 1, "accepted": 1, "rows_per_minute": 6.0, "eta_s": 30.0}
    times = {"started_at": 1000.0, "updated_at": 1100.0, "running": True}
    (tmp_path / "progress.json").write_text(json.dumps({"label": "generate", **counts, **times}))
    done = fireact("status", run, "--watch")
    assert done.returncode == 0, done.stderr
    assert "generate: 1 of 4 rows, 1 in this session, 1 of them accepted; no sign of life for" in done.stdout
    proof = fireact("doctor", run).stdout.splitlines()[-1]
    assert proof == "all adds up: 0 planned + 1 others = 1 finished + 0 stopped + 0 failed + 0 skipped + 0 pending"
