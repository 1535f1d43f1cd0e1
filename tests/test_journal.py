from fakes import DictBackend, ScriptedModel, question

from fireact_ray.agent import Agent
from fireact_ray.errors import ModelUnavailable
from fireact_ray.journal import Journal, journaled, paid_by_row, paid_for
from fireact_ray.methods import make_method
from fireact_ray.quota.budget import Spent
from fireact_ray.tools.search import SearchTool
from fireact_ray.types import StopReason, Usage

SEARCH = "Thought: t\nAction: search[q]"
FINISH = "Thought: t\nAction: finish[Ila Dun]"


def agent(*replies) -> Agent:
    tools = {"search": SearchTool(DictBackend({"q": "found"}))}
    return Agent(make_method("react", "jsonl", few_shot=False), ScriptedModel(*replies), tools)


async def run(runner: Agent, folder, key="k"):
    journal = Journal(folder)
    try:
        return await journaled(runner, journal, key).run(question())
    finally:
        journal.close()


async def test_a_finished_rollout_runs_again_without_a_call(tmp_path):
    first = await run(agent(SEARCH, FINISH), tmp_path)
    unpaid = agent()
    again = await run(unpaid, tmp_path)
    assert unpaid.model.asked == []
    assert unpaid.tools["search"].backend.queries == []
    assert [s.completion for s in again.steps] == [s.completion for s in first.steps]
    assert [s.model_latency_s for s in again.steps] == [s.model_latency_s for s in first.steps]
    assert again.usage == first.usage


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


async def test_a_torn_last_line_counts_as_not_written(tmp_path):
    await run(agent(SEARCH, FINISH), tmp_path)
    (file,) = tmp_path.glob("*.jsonl")
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    rest = agent(FINISH)
    assert (await run(rest, tmp_path)).answer == "Ila Dun"
    assert len(rest.model.asked) == 1


async def test_a_failed_search_is_tried_again_after_a_restart(tmp_path):
    down = "Thought: t\nAction: search[down]"
    await run(agent(down, FINISH), tmp_path)
    again = agent()
    await run(again, tmp_path)
    assert again.tools["search"].backend.queries == ["down"]


async def test_what_is_paid_is_known_for_each_row_whole_or_not(tmp_path):
    await run(agent(SEARCH, FINISH), tmp_path, key="a")
    await run(agent(SEARCH, ModelUnavailable("killed here")), tmp_path, key="b")
    assert paid_by_row(tmp_path) == {"a": Spent(2, Usage(20, 10)), "b": Spent(1, Usage(10, 5))}
    assert paid_for(tmp_path) == Spent(3, Usage(30, 15))
    assert paid_by_row(tmp_path / "nowhere") == {}
