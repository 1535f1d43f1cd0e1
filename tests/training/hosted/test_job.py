"""A provider's JSON: only what is needed is demanded of it."""

import pytest

from fireact_ray.core.errors import MalformedReply
from fireact_ray.training.hosted.job import Job, JobEvent, RemoteFile, TrainingFile


def test_the_least_that_a_job_must_hold():
    assert Job.of({"id": "j", "status": "Queued"}) == Job("j", "queued")
    for row in ({"id": "j"}, {"status": "queued"}, {"id": 3, "status": "queued"}):
        with pytest.raises(MalformedReply):
            Job.of(row)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ({"code": "c", "param": "p", "message": "m"}, "c (p): m"),
        ({"code": "c", "param": None, "message": "m\n\x1b[31m"}, "c: m [31m"),
        ({"message": "m"}, "m"),
        ("text", "text"),
        ({}, ""),
        (None, ""),
    ],
)
def test_an_error_is_one_line_in_the_provider_s_words(error, words):
    assert Job.of({"id": "j", "status": "failed", "error": error}).error == words


def test_a_job_has_ended_by_a_known_status_or_by_its_time():
    ended = [("succeeded", None), ("failed", None), ("cancelled", None), ("expired", 3)]
    going = [("running", None), ("paused", 3), ("expired", None), ("validating_files", None)]
    assert [Job("j", status, finished_at=at).has_ended for status, at in ended + going] == [True] * 4 + [False] * 4


def test_an_event_may_be_of_metrics_or_not():
    row = {"id": "e", "created_at": 5, "level": "info", "message": "Step 1", "data": {"step": 1, "train_loss": 2}}
    assert JobEvent.of_row(row) == JobEvent("e", 5, "info", "Step 1", 1, None, 2.0)
    assert JobEvent.of_row({"id": "e", "data": None}) == JobEvent("e", 0, "info", "")


@pytest.mark.parametrize(
    ("status", "unready", "broken"),
    [
        ("uploaded", False, False),
        ("processed", False, False),
        (None, False, False),
        ("pending", True, False),
        ("notRunning", True, False),
        ("error", False, True),
        ("deleted", False, True),
    ],
)
def test_a_file_s_status(status, unready, broken):
    found = RemoteFile.of({"id": "f", "status": status})
    assert (found.is_unready, found.is_broken) == (unready, broken)


def test_a_file_is_named_by_its_content_and_not_printed():
    file = TrainingFile(b"secret", 1)
    assert file.name == "fireact-2bb80d537b1da3e3.jsonl"
    assert "secret" not in repr(file)
