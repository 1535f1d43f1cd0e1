import io
import re
import time
from dataclasses import asdict, replace

import pytest
from fakes import finished_trajectory as trajectory
from fakes import question
from rich.console import Console

from fireact_ray.cli.status import (
    audit_text,
    progress_text,
    read_status,
    show_status,
    watch_status,
)
from fireact_ray.core.errors import InputError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import write_trajectories
from fireact_ray.core.types import Score, StopReason
from fireact_ray.recipe.loader import load_recipe, to_yaml
from fireact_ray.rollouts.audit import audit
from fireact_ray.rollouts.completed import Written
from fireact_ray.rollouts.journal import Entry, Journal
from fireact_ray.rollouts.plan import Planned, Policy, write_plan
from fireact_ray.rollouts.progress import Progress, read_progress

PROGRESS = Progress("generate", 1000.0, 2000.0, 100, 20, 30, 25, 61.25, 4980.0, True)
PRICES = 'as_of: 2026-11-01\nhosts: {"*": {m: {prompt: 1.0, completion: 4.0}}}\n'


def unfinished(key: str, reason: StopReason, error: str | None = None):
    return trajectory(key, stop_reason=reason, error=error, score=Score(0.0, 0.0), cost_usd=0.0)


@pytest.fixture
def run(tmp_path):
    """Six rows planned, four written; two replies of a fifth one are paid."""
    folder = Folder(str(tmp_path))
    lines = [(Planned(key, question(), "react"),) for key in "abcdef"]
    write_plan(folder, lines, Policy(), Written.of({}))
    write_trajectories(
        folder / "trajectories",
        [
            trajectory("a", cost_usd=0.5),
            unfinished("b", StopReason.MAX_STEPS),
            unfinished("c", StopReason.MODEL_ERROR, "ModelUnavailable: m: down: twice"),
            unfinished("d", StopReason.TOOL_ERROR, "too many failed tool calls"),
        ],
        "w",
    )
    journal = Journal(folder / "journal", "w")
    for call, prompt_tokens, completion_tokens in ((1, 1000, 10), (2, 2000, 15)):
        usage = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}
        journal.put(Entry("e", f"model/{call}/x", {"text": "t", "usage": usage}))
    journal.close()
    return folder


def priced(run: Folder, tmp_path) -> None:
    (tmp_path / "prices.yaml").write_text(PRICES)
    model = "teacher.model={kind: openai, name: m, base_url: 'http://127.0.0.1:1/v1'}"
    prices = f"teacher.quota.prices={tmp_path / 'prices.yaml'}"
    run.write("recipe.yaml", to_yaml(load_recipe("demo", [model, prices, "generate.budget.max_cost_usd=1"])))


def test_rows_are_finished_or_stopped_by_reason_or_failed_by_kind_or_pending(run):
    found = audit(run)
    assert (found.planned, found.done, found.pending) == (6, 1, 2)
    assert found.stopped == {"max_steps": 1}
    assert found.failed == {"ModelUnavailable": 1, "tool_error": 1}
    assert found.planned == found.done + sum(found.stopped.values()) + sum(found.failed.values()) + found.pending


def test_the_audit_as_text_name_every_reason_and_kind(run):
    lines = [line.split() for line in audit_text(audit(run)).splitlines()]
    for line in (
        ["planned", "6"],
        ["finished", "1"],
        ["-", "correct", "1"],
        ["stopped", "1"],
        ["-", "max_steps", "1"],
        ["failed", "2"],
        ["-", "ModelUnavailable", "1"],
        ["-", "tool_error", "1"],
        ["-", "accepted", "1"],
        ["skipped", "0"],
        ["pending", "2"],
    ):
        assert line in lines


def test_what_is_paid_holds_the_replies_of_rows_that_are_not_whole(run, tmp_path):
    priced(run, tmp_path)
    status = read_status(run)
    assert (status.paid.calls, status.paid.usage.prompt_tokens, status.paid.usage.completion_tokens) == (2, 3000, 25)
    assert status.paid_usd == pytest.approx(0.0031)
    assert status.audit.cost_usd == 0.5


def test_without_a_price_money_is_unknown(run):
    assert read_status(run).paid_usd is None
    run.write("recipe.yaml", to_yaml(load_recipe("demo")))  # a scripted teacher sends no bill
    assert read_status(run).paid_usd is None


def test_progress_is_read_as_it_was_written_and_a_key_more_does_not_matter(run):
    assert read_progress(run) is None
    run.write_json("progress.json", {**asdict(PROGRESS), "not_needed": 3})
    assert read_progress(run) == PROGRESS


def test_a_run_that_goes_on_tells_its_rate_and_what_is_left():
    assert progress_text(PROGRESS, 2004.0) == (
        "generate: 50 of 100 rows, 30 in this session, 25 of them accepted; 61.2 rows/min, 1.4 h to go"
    )
    assert progress_text(replace(PROGRESS, eta_s=None), 2004.0).endswith("unknown to go")


@pytest.mark.parametrize(("silent_s", "is_live"), [(59, True), (60, True), (61, False), (400, False)])
def test_a_run_that_is_silent_for_a_minute_is_no_longer_live(silent_s, is_live):
    assert PROGRESS.is_live(2000.0 + silent_s) is is_live
    question = f"no sign of life for {silent_s} s: interrupted? run the same command again"
    assert (question in progress_text(PROGRESS, 2000.0 + silent_s)) is not is_live


def test_a_run_that_has_ended_is_not_live_and_not_missed():
    ended = replace(PROGRESS, running=False)
    assert not ended.is_live(2001.0)
    assert progress_text(ended, 9999.0).endswith("25 of them accepted; ended")


def console(**options) -> Console:
    return Console(**{"file": io.StringIO(), "width": 100, **options})


def test_status_without_progress_has_no_live_part(run):
    page = console()
    show_status(run, page)
    assert "planned                         6" in page.file.getvalue()
    assert "2 calls, 3000 prompt and 25 completion tokens, USD unknown" in page.file.getvalue()
    assert "session" not in page.file.getvalue()


def test_watching_ends_with_the_run_and_shows_its_last_state(run):
    begin = replace(PROGRESS, updated_at=time.time())
    run.write_json("progress.json", asdict(begin))

    class Page(io.StringIO):
        """The run ends once its first state is shown."""

        def write(self, text: str) -> int:
            if "50 of 100 rows" in text and run.read_json("progress.json")["running"]:
                write_trajectories(run / "trajectories", [trajectory("e"), trajectory("f")], "w2")
                run.write_json("progress.json", asdict(replace(begin, done=80, running=False)))
            return super().write(text)

    page = console(file=Page())
    watch_status(run, page, every_s=0.01)
    lines = page.file.getvalue().splitlines()
    assert lines[0].startswith("generate: 50 of 100 rows")
    assert next(line for line in lines if "; ended" in line).startswith("generate: 100 of 100 rows")
    assert f"{'pending':20} {0:>12}" in lines


def test_watching_on_a_terminal_is_one_page_that_changes(run):
    run.write_json("progress.json", asdict(replace(PROGRESS, running=False)))
    page = console(force_terminal=True)
    watch_status(run, page)
    shown = page.file.getvalue()
    assert shown.startswith("\x1b[?25l")  # the cursor is hidden while the page is live
    assert f"{'pending':20} {2:>12}" in shown
    assert "; ended" in shown


def test_watching_a_run_that_died_says_so_and_ends(run):
    run.write_json("progress.json", asdict(replace(PROGRESS, updated_at=time.time() - 100)))
    page = console()
    watch_status(run, page)
    assert re.search(r"no sign of life for 1\d\d s", page.file.getvalue())


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="no run there"):
        show_status(Folder(str(tmp_path)), console())
