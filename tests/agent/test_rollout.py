import asyncio
from dataclasses import replace

from fakes import FINISH, SEARCH, DictBackend, ScriptedModel, agent, question

from fireact_ray.agent.agent import Agent
from fireact_ray.agent.methods import make_method
from fireact_ray.agent.models.base import Completion, Sampling
from fireact_ray.agent.rollout import Limits
from fireact_ray.agent.tools.search import SearchTool
from fireact_ray.core.errors import ModelDenied, ModelUnavailable
from fireact_ray.core.types import Action, Observation, ObservationStatus, Outcome, StopReason, Trajectory

TOOLS = {"search": SearchTool(DictBackend({}))}


async def test_a_react_rollout_searches_then_finishes_and_is_scored():
    trajectory = await agent(SEARCH, FINISH).run(question())
    first, last = trajectory.steps
    assert first.action == Action("search", "The Road to Zem author")
    assert first.observation == Observation("The Road to Zem is a novel by Ila Dun.")
    assert (last.thought, last.observation) == ("Ila Dun wrote it.", None)
    assert (trajectory.answer, trajectory.stop_reason) == ("Ila Dun", StopReason.FINISHED)
    assert trajectory.score.exact_match == 1.0
    assert (trajectory.usage.prompt_tokens, trajectory.n_searches) == (20, 1)


async def test_the_model_sees_question_its_own_words_and_the_observation():
    runner = agent(SEARCH, FINISH)
    await runner.run(question())
    assert [(t.role, t.content) for t in runner.model.asked[1]] == [
        ("user", "Who wrote The Road to Zem?"),
        ("assistant", SEARCH),
        ("user", "Observation: The Road to Zem is a novel by Ila Dun."),
    ]


async def test_an_invented_observation_is_cut_and_never_becomes_a_step():
    invented = f"{SEARCH}\nObservation: Bob wrote it.\nThought: So Bob.\nAction: finish[Bob]"
    trajectory = await agent(invented, FINISH).run(question())
    assert trajectory.steps[0].observation.text == "The Road to Zem is a novel by Ila Dun."
    assert trajectory.answer == "Ila Dun"


async def test_nothing_found_and_a_failing_search_are_told_apart_by_status_and_by_catalogue_text():
    nothing, down = "Thought: t\nAction: search[nowhere]", "Thought: t\nAction: search[down]"
    trajectory = await agent(nothing, down, FINISH).run(question())
    observed = [step.observation for step in trajectory.steps[:2]]
    assert observed[0] == Observation("No results found.", ObservationStatus.EMPTY)
    assert observed[1] == Observation("The search is unavailable right now.", ObservationStatus.ERROR)


async def test_a_reply_without_an_action_is_answered_and_too_many_end_the_rollout():
    trajectory = await agent("hm", "hm", "hm", limits=Limits(max_invalid=2)).run(question())
    assert trajectory.stop_reason is StopReason.PARSE_ERROR
    assert [step.action for step in trajectory.steps] == [None, None, None]
    assert trajectory.answer is None
    assert trajectory.score.exact_match == 0.0


async def test_an_unknown_tool_is_answered_from_the_catalogue():
    trajectory = await agent("Thought: t\nAction: python[1+1]", FINISH).run(question())
    assert trajectory.steps[0].observation.status is ObservationStatus.ERROR
    assert "python" not in trajectory.steps[0].observation.text


async def test_too_many_calls_of_unknown_tools_are_the_agents_own_doing():
    lookup = "Thought: t\nAction: lookup[born]"  # as models do that have seen another ReAct
    trajectory = await agent("hm", lookup, lookup, limits=Limits(max_invalid=2, max_tool_errors=0)).run(question())
    assert trajectory.stop_reason is StopReason.PARSE_ERROR
    assert trajectory.stop_reason.outcome is Outcome.STOPPED


async def test_a_question_still_open_after_max_steps_stops_there():
    trajectory = await agent(SEARCH, SEARCH, limits=Limits(max_steps=2)).run(question())
    assert (trajectory.stop_reason, len(trajectory.steps)) == (StopReason.MAX_STEPS, 2)


async def test_a_model_error_becomes_a_typed_trajectory_that_keeps_its_steps():
    trajectory = await agent(SEARCH, ModelUnavailable("m: HTTP 500")).run(question())
    assert trajectory.stop_reason is StopReason.MODEL_ERROR
    assert (trajectory.error, len(trajectory.steps)) == ("ModelUnavailable: m: HTTP 500", 1)


class Timed(ScriptedModel):
    """Says of every reply that it took so many seconds when it was paid for."""

    def __init__(self, *replies: str, took_s: float) -> None:
        super().__init__(*replies)
        self.took_s = took_s

    async def complete(self, turns, sampling) -> Completion:
        return replace(await super().complete(turns, sampling), latency_s=self.took_s)


async def test_overhead_is_what_is_left_beside_the_calls_also_of_a_rollout_that_fails():
    slow_queue = replace(agent(), model=Timed(SEARCH, FINISH, took_s=0.0))
    trajectory = await slow_queue.run(question())
    assert 0.0 < trajectory.overhead_s < 60.0
    assert trajectory.wall_time_s < trajectory.overhead_s  # the calls took nothing
    failed = await agent(ModelUnavailable("m: HTTP 500")).run(question())
    assert failed.overhead_s > 0.0


async def test_the_overhead_of_calls_that_a_journal_answered_is_unknown_and_no_less_than_nothing():
    resumed = replace(agent(), model=Timed(SEARCH, FINISH, took_s=30.0))
    assert (await resumed.run(question())).overhead_s is None


async def test_a_denied_key_is_no_trajectory_but_stops_the_run():
    try:
        await agent(ModelDenied("m: HTTP 401")).run(question())
    except ModelDenied as error:
        assert str(error) == "m: HTTP 401"
    else:
        raise AssertionError("ModelDenied must travel up")


async def test_a_hanging_model_ends_in_a_timeout():
    class Hanging(ScriptedModel):
        async def complete(self, turns, sampling):
            await asyncio.sleep(60)

    runner = Agent(make_method("react", "jsonl", few_shot=False), Hanging(), TOOLS, limits=Limits(timeout_s=0.05))
    assert (await runner.run(question())).stop_reason is StopReason.TIMEOUT


async def test_a_reply_cut_by_its_token_limit_is_not_an_invalid_action():
    class Cut(ScriptedModel):
        async def complete(self, turns, sampling):
            return Completion("Thought: I think and think", "length")

    trajectory = await Agent(make_method("react", "jsonl", few_shot=False), Cut(), TOOLS).run(question())
    assert trajectory.stop_reason is StopReason.MAX_TOKENS


async def test_reflexion_asks_for_a_reflection_only_while_the_question_is_open():
    runner = agent(SEARCH, SEARCH, SEARCH, FINISH, method="reflexion")
    await runner.run(question())
    asked = ["Reflect:" in turns[-1].content for turns in runner.model.asked]
    assert asked == [False, False, True, False]


async def test_cot_and_io_answers_become_finish_actions():
    cot = await agent("Thought: He did.\nAnswer: Ila Dun", method="cot", few_shot=True).run(question())
    io = await agent("Answer: Ila Dun", method="io", few_shot=True).run(question())
    assert (cot.steps[0].thought, cot.answer) == ("He did.", "Ila Dun")
    assert (io.steps[0].thought, io.answer) == ("", "Ila Dun")


async def test_a_stream_yields_each_step_before_the_trajectory():
    events = [event async for event in agent(SEARCH, FINISH).stream(question())]
    assert [type(event).__name__ for event in events] == ["Step", "Step", "Trajectory"]
    assert events[2].steps == (events[0], events[1])


def test_the_row_key_depends_on_what_is_asked_and_how_but_not_on_the_answer():
    key = agent().trajectory_id(question())
    assert key == agent().trajectory_id(question(answer="Bob"))
    others = [
        agent().trajectory_id(question("Who?")),
        agent().trajectory_id(question(), attempt=1),
        agent(method="reflexion").trajectory_id(question()),
        agent(few_shot=True).trajectory_id(question()),
        agent(limits=Limits(max_steps=3)).trajectory_id(question()),
    ]
    assert len({key, *others}) == 6


async def test_a_trajectory_round_trips_through_its_dict():
    trajectory = await agent("hm", SEARCH, FINISH).run(question())
    assert Trajectory.from_dict(trajectory.to_dict()) == trajectory


async def test_attempts_differ_by_their_seed():
    class Seeded(ScriptedModel):
        async def complete(self, turns, sampling):
            return Completion(f"Thought: t\nAction: finish[{sampling.seed}]")

    runner = Agent(make_method("react", "jsonl", few_shot=False), Seeded(), TOOLS, sampling=Sampling(seed=7))
    assert [(await runner.run(question(), attempt)).answer for attempt in (0, 1)] == ["7", "8"]
