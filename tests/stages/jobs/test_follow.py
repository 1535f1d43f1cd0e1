"""A log is shown whole and once, whatever becomes of its connections, and the job's end decides."""

from dataclasses import dataclass, field

import pytest

from fireact_ray.core.errors import DataError
from fireact_ray.stages.jobs.follow import Log, exit_code, follow


@dataclass
class Details:
    status: str
    driver_exit_code: int | None = None
    metadata: dict = field(default_factory=dict)


class JobServer:
    """`answers`: of status, one after the other, of which errors are raised; `streams`: what each connection sends."""

    def __init__(self, answers, streams, log):
        self.answers, self.streams, self.log = list(answers), list(streams), log

    def get_job_info(self, job):
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def get_job_logs(self, job):
        return self.log

    async def tail_job_logs(self, job):
        for text in self.streams.pop(0) if self.streams else []:
            if isinstance(text, Exception):
                raise text
            yield text


RUNNING = Details("RUNNING")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("fireact_ray.stages.jobs.follow._LOOK_S", 0.01)


def test_a_stream_that_ends_early_is_begun_again_and_no_line_is_shown_twice():
    streams = [["one\n", "two\n"], ["one\n", RuntimeError("closed")], ["one\ntwo\nthr", "ee\n"]]
    server = JobServer([RUNNING] * 6 + [Details("SUCCEEDED", 0)], streams, "one\ntwo\nthree\nfour\n")
    shown = []
    details = follow(server, "j", shown.append)
    assert ("".join(shown), details.status) == ("one\ntwo\nthree\nfour\n", "SUCCEEDED")


def test_lines_are_shown_as_they_come_also_after_a_stream_has_ended():
    server = JobServer(
        [RUNNING] * 8 + [Details("RUNNING", metadata={"state": "x"})], [["one\n"], ["one\n", "two\n"]], ""
    )
    shown = []
    follow(server, "j", shown.append, lambda details: bool(details.metadata))
    assert shown == ["one\n", "two\n"]


def test_a_server_that_is_away_for_a_moment_does_not_end_it():
    server = JobServer([RUNNING, OSError("refused"), RuntimeError("502"), Details("FAILED", 3)], [], "log\n")
    shown = []
    assert exit_code(follow(server, "j", shown.append)) == 3
    assert shown == ["log\n"]


def test_a_server_that_stays_away_is_said_and_the_job_may_go_on():
    server = JobServer([OSError("refused")], [], "")
    with pytest.raises(DataError, match=r"has not answered for 0 s \(OSError\)\. The job j may go on"):
        follow(server, "j", lambda text: None, patience_s=0.05)


def test_it_is_left_as_soon_as_it_has_said_enough():
    server = JobServer([RUNNING, Details("RUNNING", metadata={"state": "generate"})], [], "")
    details = follow(server, "j", lambda text: None, lambda details: details.metadata.get("state") == "generate")
    assert details.status == "RUNNING"


@pytest.mark.parametrize(
    ("details", "code"),
    [(Details("SUCCEEDED", 0), 0), (Details("FAILED", 2), 2), (Details("FAILED"), 1), (Details("STOPPED", 143), 130)],
)
def test_the_exit_code_is_that_of_the_jobs_driver(details, code):
    assert exit_code(details) == code


def test_text_that_was_shown_is_not_shown_again_wherever_a_connection_cuts_it():
    shown = []
    log = Log(shown.append)
    log.add("abc")
    log.begin()
    for text in ("a", "bcd", "e"):
        log.add(text)
    assert shown == ["abc", "d", "e"]
