import asyncio
import signal
import subprocess
import sys
import zlib

import pytest
from fakes import DictBackend, ScriptedModel, question

from fireact_ray.agent.agent import Agent
from fireact_ray.agent.methods import make_method
from fireact_ray.agent.quota.budget import Spent
from fireact_ray.agent.tools.search import SearchTool
from fireact_ray.core.errors import InputError, ModelDenied, ModelRefused, ModelUnavailable
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.types import StopReason, Usage
from fireact_ray.rollouts.journal import Entry, Journal, await_writers, paid_by_row, paid_for, read_journal
from fireact_ray.rollouts.replay import journaled

SEARCH = "Thought: t\nAction: search[q]"
FINISH = "Thought: t\nAction: finish[Ila Dun]"


def agent(*replies) -> Agent:
    tools = {"search": SearchTool(DictBackend({"q": "found"}))}
    return Agent(make_method("react", "jsonl", few_shot=False), ScriptedModel(*replies), tools)


async def run(runner: Agent, folder, key="k", offline=False):
    home = Folder(str(folder))
    paid = {entry.call: entry for entry in read_journal(home) if entry.trajectory_id == key}
    journal = Journal(home, f"w{len(home.names())}")
    try:
        return await journaled(runner, journal, key, paid, offline).run(question())
    finally:
        journal.close()


async def test_a_finished_rollout_runs_again_without_a_call(tmp_path):
    first = await run(agent(SEARCH, FINISH), tmp_path)
    unpaid = agent()
    assert await run(unpaid, tmp_path) == first  # times and usage too
    assert unpaid.model.asked == []
    assert unpaid.tools["search"].backend.queries == []


async def test_a_killed_rollout_goes_on_at_its_first_unpaid_call(tmp_path):
    killed = await run(agent(SEARCH, ModelUnavailable("killed here")), tmp_path)
    assert killed.stop_reason is StopReason.MODEL_ERROR
    rest = agent(FINISH)
    trajectory = await run(rest, tmp_path)
    assert (trajectory.answer, len(rest.model.asked)) == ("Ila Dun", 1)


async def test_another_trajectory_never_gets_these_replies(tmp_path):
    await run(agent(FINISH), tmp_path, key="a")
    other = agent(FINISH)
    await run(other, tmp_path, key="b")
    assert len(other.model.asked) == 1


@pytest.mark.parametrize("damage", [lambda line: line[:-20], lambda line: line.replace(b"finish[Ila", b"finish[Ela")])
async def test_a_torn_or_altered_line_counts_as_not_written(tmp_path, damage):
    await run(agent(SEARCH, FINISH), tmp_path)
    (file,) = tmp_path.glob("*.jsonl")
    file.write_bytes(damage(file.read_bytes()))
    rest = agent(FINISH)
    assert (await run(rest, tmp_path)).answer == "Ila Dun"
    assert len(rest.model.asked) == 1


async def test_a_failed_search_is_tried_again_after_a_restart(tmp_path):
    down = "Thought: t\nAction: search[down]"
    await run(agent(down, FINISH), tmp_path)
    again = agent()
    await run(again, tmp_path)
    assert again.tools["search"].backend.queries == ["down"]


@pytest.mark.parametrize(
    "replies", [(SEARCH, FINISH), (SEARCH, ModelRefused("no")), ("Thought: t\nAction: search[down]", FINISH)]
)
async def test_offline_a_run_repeats_from_its_recording_failures_included(tmp_path, replies):
    recorded = await run(agent(*replies), tmp_path)
    offline = agent()
    assert await run(offline, tmp_path, offline=True) == recorded
    assert offline.tools["search"].backend.queries == []


async def test_offline_what_was_not_recorded_is_refused(tmp_path):
    with pytest.raises(ModelDenied, match="the recording holds no 'model/1/"):
        await run(agent(FINISH), tmp_path, offline=True)


async def test_model_replies_are_what_was_paid_for(tmp_path):
    await run(agent(SEARCH, FINISH), tmp_path, key="a")
    await run(agent(ModelRefused("no")), tmp_path, key="b")
    assert paid_for(Folder(str(tmp_path))) == Spent(2, Usage(20, 10))
    assert paid_for(Folder(str(tmp_path / "nowhere"))) == Spent()


async def test_what_is_paid_is_known_for_each_row_whole_or_not(tmp_path):
    await run(agent(SEARCH, FINISH), tmp_path, key="a")
    await run(agent(SEARCH, ModelUnavailable("killed here")), tmp_path, key="b")
    assert paid_by_row(Folder(str(tmp_path))) == {"a": Spent(2, Usage(20, 10)), "b": Spent(1, Usage(10, 5))}


def test_a_line_is_a_checksum_and_what_was_said(tmp_path):
    journal = Journal(Folder(str(tmp_path)), "w")
    journal.put(Entry("k", "model/1/x", {"text": "é\n"}))
    journal.close()
    line = (tmp_path / "w.jsonl").read_bytes()
    body = rb'{"id":"k","call":"model/1/x","reply":{"text":"\u00e9\n"}}'
    assert line == b"%08x %s\n" % (zlib.crc32(body), body)


async def test_where_nothing_is_appended_the_journal_is_written_in_segments_before_a_reply_is_used(tmp_path):
    """A pyarrow filesystem that is not the local one: a folder behind an object store's interface."""
    home = RemoteFolder(str(tmp_path))
    journal = Journal(home, "w")
    journal.put(Entry("a", "model/1/x", {"text": "1"}))
    journal.put(Entry("b", "model/1/x", {"text": "2"}))
    await asyncio.gather(journal.kept(), journal.kept())
    assert home.names() == ["w-000000.jsonl"], "what waits goes together"
    journal.put(Entry("c", "model/1/x", {"text": "3"}))
    assert [entry.trajectory_id for entry in read_journal(home)] == ["a", "b"]
    await journaled(agent(SEARCH, FINISH), journal, "d", {}, offline=False).run(question())
    assert len([entry for entry in read_journal(home) if entry.trajectory_id == "d"]) == 3
    journal.close()
    assert [entry.trajectory_id for entry in read_journal(home, "w-")] == ["a", "b", "c", "d", "d", "d"]
    assert "w-000000-000003.jsonl" in home.names(), "one file is left of a writer that ended"


class RemoteFolder(Folder):
    """Local files that may not be opened as such."""

    @property
    def is_local(self) -> bool:
        return False

    def _resolve(self):
        return Folder(self.uri)._resolve()


def test_entries_of_one_writer_and_of_wanted_rows_can_be_asked_for(tmp_path):
    home = Folder(str(tmp_path))
    for writer in ("w0-a", "w1-b"):
        journal = Journal(home, writer)
        journal.put(Entry("x", f"search/{writer}", {}))
        journal.put(Entry("y", f"search/{writer}", {}))
        journal.close()
    assert [e.call for e in read_journal(home, "w1-b", {"x"}.__contains__)] == ["search/w1-b"]


def test_a_run_begins_when_those_who_still_write_have_ended(tmp_path):
    home = Folder(str(tmp_path))
    await_writers(home)  # nobody ever wrote there
    left = [Journal(home, "w0-a"), Journal(home, "w1-b")]

    def one_ends(_: float) -> None:
        left.pop().close()

    await_writers(home, one_ends)
    assert left == []


def test_a_run_is_refused_where_they_do_not_end(tmp_path):
    home = Folder(str(tmp_path))
    Journal(home, "w0-a").close()
    journal = Journal(home, "w1-b")
    with pytest.raises(InputError, match=r"still write w1-b\.jsonl, 60 s after its driver died"):
        await_writers(home, lambda _: None)
    journal.close()
    await_writers(home)


def test_a_writer_that_is_killed_holds_nothing(tmp_path):
    held_by = f"""
from fireact_ray.core.storage.folder import Folder
from fireact_ray.rollouts.journal import Journal
journal = Journal(Folder({str(tmp_path)!r}), "w0-a")
print("open", flush=True)
input()
"""
    writer = subprocess.Popen([sys.executable, "-c", held_by], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert writer.stdout.readline() == b"open\n"

    def killed(_: float) -> None:
        writer.kill()
        writer.wait()

    await_writers(Folder(str(tmp_path)), killed)
    assert writer.returncode == -signal.SIGKILL
