"""A trajectory is taken away as other commands read it, whatever ended its run."""

import re

import pytest
from paged import AUTHOR, ask, texts

from fireact_ray.core.types import StopReason
from fireact_ray.data.formats.records import read_records

pytestmark = pytest.mark.slow


def taken(page, folder, name="taken.json"):
    """What is downloaded, as it is read from the file; and the name that the file was given."""
    with page.expect_download() as download:
        page.get_by_role("button", name="Download JSON").click()
    download.value.save_as(folder / name)
    (record,) = read_records(str(folder / name))
    return record.trajectory, download.value.suggested_filename


def test_a_whole_trajectory_is_the_servers(opened, tmp_path):
    with opened() as page:
        ask(page, AUTHOR)
        page.locator(".verdict.answered").wait_for()
        trajectory, name = taken(page, tmp_path)
    assert re.fullmatch(r"tuned-\d{4}-\d\d-\d\dT\d{6}\.json", name)
    assert (trajectory.answer, trajectory.stop_reason) == ("Ila Dun", StopReason.FINISHED)
    assert [step.thought for step in trajectory.steps] == ["I need the author.", "Ila Dun wrote it."]


def test_of_a_run_that_was_stopped_its_whole_steps_are_taken(opened, gate, tmp_path):
    with opened() as page:
        ask(page, "held model")
        page.locator(".observation").wait_for()
        page.keyboard.press("Escape")
        page.locator(".verdict.stopped").wait_for()
        facts = [text.split("\n") for text in texts(page, ".measures > div")]
        assert facts[3:] == [["tokens", "at least 400 + 25"], ["cost", "at least $0.00024"]]
        trajectory, _ = taken(page, tmp_path)
    assert (trajectory.question.text, trajectory.model, trajectory.method) == ("held model", "tuned", "react")
    assert (trajectory.stop_reason, trajectory.answer) == (StopReason.TIMEOUT, None)
    assert trajectory.error == "Stopped: whoever asked did not wait for the answer."
    (step,) = trajectory.steps
    assert (step.thought, step.action.argument) == ("I need the author.", "The Road to Zem author")
    assert step.observation.text == "The Road to Zem is a novel by Ila Dun."
    assert (step.usage.prompt_tokens, step.usage.completion_tokens, step.model_latency_s) == (400, 25, 1.25)


def test_of_a_connection_that_ended_what_had_arrived_is_taken(opened, gate, tmp_path):
    with opened(but=["console: Failed to load resource"]) as page:
        ask(page, "ends early")
        page.locator(".observation").wait_for()
        gate.is_open.set()
        page.locator(".verdict.failed").wait_for()
        trajectory, _ = taken(page, tmp_path)
    assert (trajectory.stop_reason, trajectory.error) == (
        StopReason.CRASHED,
        "Broken: the connection ended before the answer.",
    )
    assert [step.thought for step in trajectory.steps] == ["I need the author.", "Ila Dun wrote it."]


def test_a_run_without_a_whole_step_has_nothing_to_take(opened, gate):
    with opened() as page:
        ask(page, "held search")
        page.locator(".argument").wait_for()
        page.keyboard.press("Escape")
        page.locator(".verdict.stopped").wait_for()
        assert texts(page, ".foot button") == []
