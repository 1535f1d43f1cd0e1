"""A conversation that is no whole trajectory in, the episode that it is all the same out.

It ended without an answer, which is wrong and no fault of the row; or a step in it cannot be read, and the answer can:
the one that the row names, as FireAct's records and results do (`pred`), or that its last reply gives. What is asked is
what was answered, so such a row counts; its steps and searches are unknown.
"""

from __future__ import annotations

from fireact_ray.core import dialect
from fireact_ray.core.calls import Names, tool_of
from fireact_ray.core.tool_specs import ARGUMENTS
from fireact_ray.core.types import Question, StopReason, Trajectory
from fireact_ray.data.formats.importers import MODEL, ONLY_ANSWER, read_trajectory
from fireact_ray.data.formats.messages import Conversation, Message
from fireact_ray.data.formats.transcript import NoTranscript
from fireact_ray.evaluation.episodes import Episode
from fireact_ray.evaluation.recorded.told import searches_within, told_answer

_UNFINISHED = "no_finish"
# What a reply may be while the last one still answers.
_OF_A_STEP = {
    "two_actions",
    "several_calls",
    "several_arguments",
    "tool_name",
    "no_action",
    "no_observation",
    ONLY_ANSWER,
}


def partial_episode(conversation: Conversation, fault: NoTranscript, names: Names) -> Episode:
    """Without key, task and accepted answers. `fault`: why it is no whole trajectory; it is raised where it is no
    episode either."""
    text = next((turn.text for turn in conversation.turns if turn.role == "user"), "")
    if not text:
        raise NoTranscript("no_question", "the question is empty")
    replies = [turn for turn in conversation.turns if turn.role == "assistant"]
    answer, score = conversation.answered, conversation.recorded
    n_steps: int | None = None
    n_searches: int | None = None
    if fault.kind == _UNFINISHED:
        if answer is None and len(replies) == 1:
            answer = told_answer(replies[0].text)
        n_steps, n_searches = len(replies), _n_searches(replies, names)
    elif fault.kind not in _OF_A_STEP:
        raise fault
    elif answer is None:
        end = _end(conversation, fault, names)
        answer, score = end.answer, end.score
    return Episode(
        key="",
        question=Question("", "", text, ()),
        method="",
        model=MODEL,
        stop_reason=StopReason.FINISHED if answer else StopReason.REJECTED,
        answer=answer or None,
        score=score,
        n_steps=n_steps,
        n_searches=n_searches,
    )


def unknown_end(conversation: Conversation, names: Names) -> str | None:
    """The tool that the last reply calls, where it is none of ours: it may be somebody else's way to answer."""
    replies = [turn for turn in conversation.turns if turn.role == "assistant"]
    tool = _tool(replies[-1], names) if replies else None
    return tool if tool is not None and tool not in ARGUMENTS else None


def _end(conversation: Conversation, fault: NoTranscript, names: Names) -> Trajectory:
    """The last reply and what follows it, read alone. Raises `fault` where that is no end either."""
    turns = conversation.turns
    last = max(at for at, turn in enumerate(turns) if turn.role == "assistant")
    asked = next(turn for turn in turns if turn.role == "user")
    try:
        return read_trajectory("", (asked, *turns[last:]), names)
    except NoTranscript:
        raise fault from None


def _n_searches(replies: list[Message], names: Names) -> int | None:
    """None where they stand within a reply, which may have been cut."""
    if any(searches_within(reply.text) for reply in replies):
        return None
    return sum(_tool(reply, names) == "search" for reply in replies)


def _tool(reply: Message, names: Names) -> str | None:
    if reply.actions:
        known = tool_of(reply.actions[0].tool, names)
        return known and known[0]
    action = dialect.read(reply.text, names).action
    return action.tool if action else None
