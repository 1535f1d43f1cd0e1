"""What a chat reply says and what its model thought, in the shapes that servers send; what is not read is said."""

import json

import pytest
from aiohttp import web
from fakes import FINISH, SEARCH, agent, question
from hypothesis import given
from hypothesis import strategies as st
from loopback import loopback

from fireact_ray.agent.models.base import Completion, Sampling
from fireact_ray.agent.models.openai import OpenAIChat
from fireact_ray.agent.models.openai_reply import read_completion
from fireact_ray.agent.models.retry import Retrying, RetryPolicy
from fireact_ray.core.content import read_content
from fireact_ray.core.errors import ModelError, ReplyWithheld, UnreadReply
from fireact_ray.core.net.http import HttpReply
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.types import Action, Turn, Usage
from fireact_ray.rollouts.journal import Journal, read_journal
from fireact_ray.rollouts.replay import journaled

THOUGHT = "Maybe\nAction: finish[Nowhere]"
TEXT = {"type": "text", "text": "hello"}

READ = {
    "reasoning_content": {"content": "hello", "reasoning_content": THOUGHT},
    "reasoning": {"content": "hello", "reasoning": THOUGHT, "reasoning_content": None},
    "both": {"content": "hello", "reasoning": THOUGHT, "reasoning_content": THOUGHT},
    "thinking": {"content": "hello", "thinking": THOUGHT},
    "reasoning_details": {
        "content": "hello",
        "reasoning_details": [
            {"type": "reasoning.text", "text": THOUGHT},
            {"type": "reasoning.encrypted", "data": "x"},
        ],
    },
    "thinking_blocks": {"content": "hello", "thinking_blocks": [{"type": "thinking", "thinking": THOUGHT}]},
    "parts, the thought a list": {
        "content": [{"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]}, TEXT]
    },
    "parts, the thought a text": {"content": [{"type": "thinking", "thinking": THOUGHT, "signature": "s"}, TEXT]},
    "parts of reasoning": {"content": [{"type": "reasoning", "text": THOUGHT}, TEXT]},
    "a summary": {"content": [{"type": "reasoning", "summary": [{"type": "summary_text", "text": THOUGHT}]}, TEXT]},
    "output_text": {"content": [{"type": "thought", "text": THOUGHT}, {"type": "output_text", "text": "hello"}]},
    "texts in two": {"content": [{"type": "text", "text": "hel"}, "lo"], "reasoning": THOUGHT},
    "one part": {"content": TEXT, "reasoning": THOUGHT},
}


def read(message, finish_reason="stop") -> Completion:
    body = json.dumps({"choices": [{"message": message, "finish_reason": finish_reason}]}).encode()
    return read_completion(HttpReply(200, {}, body), "m", "host")


@pytest.mark.parametrize("message", READ.values(), ids=READ)
def test_text_and_thought_are_read_apart(message):
    assert read(message) == Completion("hello", "stop", Usage(), reasoning=THOUGHT)


def test_parts_that_neither_say_nor_think_are_passed_over():
    parts = [{"type": "redacted_thinking", "data": "x"}, TEXT, {"type": "reference", "reference_ids": [1]}]
    assert read({"content": parts}) == Completion("hello", "stop")
    assert read({"content": []}) == Completion("", "stop")
    assert read({"content": "hello", "tool_calls": [], "function_call": None}) == Completion("hello", "stop")


@pytest.mark.parametrize("content", [None, [{"type": "thinking", "thinking": THOUGHT}]])
def test_a_reply_that_was_cut_while_its_model_thought_says_nothing(content):
    completion = read({"content": content, "reasoning_content": THOUGHT}, "length")
    assert completion == Completion("", "length", reasoning=THOUGHT)


@pytest.mark.parametrize(
    ("message", "failure", "says"),
    [
        (
            {"content": None, "reasoning_content": SEARCH},
            UnreadReply,
            "all of it is hidden reasoning; start the server",
        ),
        ({"content": [{"type": "thinking", "thinking": SEARCH}]}, UnreadReply, "all of it is hidden reasoning"),
        ({"content": None, "tool_calls": [{"type": "function"}]}, UnreadReply, "it holds tool calls; start the server"),
        ({"content": None, "function_call": {"name": "search"}}, UnreadReply, "it holds tool calls"),
        ({"content": "", "tool_calls": [{"type": "function"}]}, UnreadReply, "it holds tool calls"),
        ({"content": "I look it up.", "tool_calls": [{"type": "function"}]}, UnreadReply, "it holds tool calls"),
        ({"content": "", "reasoning_content": SEARCH}, UnreadReply, "all of it is hidden reasoning"),
        ({"content": "\n\n", "reasoning": SEARCH}, UnreadReply, "all of it is hidden reasoning"),
        ({"content": [TEXT, {"type": "image_url"}]}, UnreadReply, r"\(a part 'image_url'\)"),
        ({"content": [TEXT, 7]}, UnreadReply, r"\(a int\)"),
        ({"content": True}, UnreadReply, r"\(a bool\)"),
        ({"content": [{"type": "refusal", "refusal": "No."}]}, ReplyWithheld, "declined"),
    ],
)
def test_a_reply_that_says_nothing_readable_is_told_for_what_it_holds(message, failure, says):
    with pytest.raises(ModelError, match=says) as caught:
        read(message)
    assert type(caught.value) is failure


_KEYS = st.sampled_from(["type", "text", "thinking", "content"])
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
)


@given(_ANYTHING)
def test_any_content_is_read_or_named(content):
    found = read_content({"content": content, "reasoning_details": content})
    assert isinstance(found.reasoning, str)
    assert found.text is not None or found.unread or found.reasoning or content is None or content


async def test_a_shape_that_a_model_always_sends_is_not_bought_again_and_again():
    only_thought = web.json_response({"choices": [{"message": {"content": None, "reasoning": "x"}}]})
    said = web.json_response({"choices": [{"message": {"content": "hello"}}]})
    answers = [only_thought, only_thought, only_thought, said, only_thought, said]

    def fresh(n: int) -> web.Response:
        return web.Response(body=answers[n].body, content_type="application/json")

    async with loopback(fresh) as server:
        chat = OpenAIChat("m", base_url=f"{server.url}/v1", api_key="k")
        client = Retrying(chat, RetryPolicy(max_attempts=5, first_delay_s=0.01))
        turns = (Turn("user", "q"),)
        with pytest.raises(UnreadReply, match=r"\(after 2 attempts\)$"):
            await client.complete(turns, Sampling())
        with pytest.raises(UnreadReply, match=r"\(after 1 attempts\)$"):
            await client.complete(turns, Sampling())
        assert (await client.complete(turns, Sampling())).text == "hello"
        assert (await client.complete(turns, Sampling())).text == "hello"  # since then a shape is tried once more
        await client.close()
    assert len(server.asked) == 6


async def test_what_a_model_hides_is_neither_obeyed_nor_shown_nor_trained():
    hiding = agent(f"<think>\n{THOUGHT}\n</think>\n{SEARCH}", f"{THOUGHT}\n</think>\n\n{FINISH}")
    trajectory = await hiding.run(question())
    assert [step.action for step in trajectory.steps] == [
        Action("search", "The Road to Zem author"),
        Action("finish", "Ila Dun"),
    ]
    assert [step.thought for step in trajectory.steps] == ["I need the author.", "Ila Dun wrote it."]
    assert [step.completion for step in trajectory.steps] == [SEARCH, FINISH]
    assert [step.reasoning for step in trajectory.steps] == [THOUGHT, THOUGHT]
    assert "Nowhere" not in str(hiding.model.asked)


async def test_a_thought_that_is_never_closed_is_no_action():
    trajectory = await agent(f"<think>{THOUGHT}", FINISH).run(question())
    assert trajectory.steps[0].action is None
    assert trajectory.answer == "Ila Dun"


async def test_what_a_model_thought_is_journaled_and_replayed(tmp_path):
    thinking = Completion(FINISH, "stop", Usage(3, 2), reasoning=THOUGHT)
    runner = agent(FINISH)

    async def complete(turns, sampling):
        return thinking

    runner.model.complete = complete
    journal = Journal(Folder(str(tmp_path)), "w")
    first = await journaled(runner, journal, "k", {}, False).run(question())
    journal.close()
    paid = {entry.call: entry for entry in read_journal(Folder(str(tmp_path)))}
    again = await journaled(agent(), journal, "k", paid, True).run(question())
    assert again == first
    assert again.steps[0].reasoning == THOUGHT
