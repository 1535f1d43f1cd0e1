"""Replies in which real models and recorders write ReAct otherwise than the grammar."""

import asyncio
import json

import pytest
from fakes import DictBackend, ScriptedModel, agent, question
from hypothesis import given, settings
from hypothesis import strategies as st

from fireact_ray.agent.models.base import Completion
from fireact_ray.core import grammar
from fireact_ray.core.calls import tool_names
from fireact_ray.core.dialect import normalise, read, written
from fireact_ray.core.grammar import Parsed, canonical_argument, canonical_line, render
from fireact_ray.core.types import Action, StopReason, Usage

WANTED = Action("search", "Ines Park")
FENCED_JSON = "code_fence json_action"
VARIANTS = {
    "Thought: I look.\n**Action:** search[Ines Park]": "bold_label",
    "**Thought:** I look.\n\n**Action:** search[Ines Park]": "bold_label",
    "**Thought**: I look.\n**Action**: `search[Ines Park]`": "bold_label code_fence",
    "**Thought: I look.**\n**Action: search[Ines Park]**": "bold_label",
    "Thought 1: I look.\nAction 1: search[Ines Park]": "numbered",
    "Thought: I look.\nAction: Search[Ines Park]": "letter_case",
    "THOUGHT: I look.\naction: SEARCH[Ines Park]": "letter_case",
    "```\nThought: I look.\nAction: search[Ines Park]\n```": "code_fence",
    "```text\nThought: I look.\nAction: search[Ines Park]": "code_fence",
    "Thought: I look.\n```\nAction: search[Ines Park]\n```": "code_fence",
    "Thought: I look.\nAction: `search[Ines Park]`": "code_fence",
    "Thought: I look.\nAction: `search` [Ines Park]": "code_fence",
    'Thought: I look.\nAction: search("Ines Park")': "quoted_argument",
    "Thought: I look.\nAction: search('Ines Park')": "quoted_argument",
    "Thought: I look.\nAction: search(Ines Park)": "quoted_argument",
    'Thought: I look.\nAction: search(query="Ines Park")': "quoted_argument",
    'Thought: I look.\nAction: search ({"input": "Ines Park"})': "quoted_argument",
    "Thought: I look.\nAction: search\nAction Input: Ines Park": "action_input",
    'Thought: I look.\nAction: search\nAction Input: "Ines Park"': "action_input",
    'Thought: I look.\n\nAction: Search\n\nAction Input: {\n  "query": "Ines Park"\n}': "action_input letter_case",
    'Thought: I look.\nAction: {"name": "search", "arguments": {"query": "Ines Park"}}': "json_action",
    'Thought: I look.\nAction: {"name": "search", "arguments": "{\\"query\\": \\"Ines Park\\"}"}': "json_action",
    "Thought: I look.\nAction: {'action': 'search', 'action_input': 'Ines Park'}": "json_action",
    'Thought: I look.\nAction:\n```json\n{"action": "search", "action_input": "Ines Park"}\n```': FENCED_JSON,
    'Thought: I look.\n```json\n{"name": "search", "parameters": {"q": "Ines Park", "k": 3}}\n```': FENCED_JSON,
    '{"thought": "I look.", "action": "search", "action_input": "Ines Park"}': "json_action",
    'Thought: I look.\nAction: {"tool_call": {"Tool": "search", "Tool_Input": {"query": "Ines Park"}}}': "json_action",
    "Thought：I look.\nAction：search[Ines Park]": "full_width",
    "Thought: I look.\nAction: search【Ines Park】": "full_width",
    "Thought: I look.\nAction: search「Ines Park」": "full_width",
    "Thought: I look.\nAction: search［Ines Park］": "full_width",
    "  Thought: I look.\n  Action: search[Ines Park]": "indented",
    "- Thought: I look.\n- Action: search[Ines Park]": "bullet",
    "### Thought: I look.\n### Action: search[Ines Park]": "bullet",
    "Thought: I look.\nAction: search[Ines Park": "missing_bracket",
    "Thought: I look.\nAction:\nsearch[Ines Park]": "line_break",
    "Thought: I look.\nAction: search[Ines\nPark]": "line_break",
    "Thought: I look. Action: search[Ines Park]": "one_line",
    "Thought: I look. **Action:** search[Ines Park]": "bold_label one_line",
}


@pytest.mark.parametrize("text", VARIANTS)
def test_an_unmistakable_action_is_taken_and_its_form_is_named(text):
    assert read(text) == Parsed("I look.", WANTED, tuple(VARIANTS[text].split()))
    repaired, _ = normalise(text)
    assert normalise(repaired) == (repaired, ())


@pytest.mark.parametrize(
    ("text", "answer", "repairs"),
    [
        ("Thought: So.\nFinal Answer: Dunmore", "Dunmore", ("final_answer",)),
        ("Thought: So.\n**Final Answer:** **Dunmore**\n\nAsk me more!", "Dunmore", ("bold_label", "final_answer")),
        ("Thought: So.\nFinal Answer: $\\boxed{Dunmore}$", "Dunmore", ("final_answer",)),
        ("Thought: So.\nFinal Answer: finish[Dunmore]", "Dunmore", ("final_answer",)),
        ("Thought: So.\nFINISH[Dunmore]", None, ()),
        ("Thought: So.\nAction: FINISH[Dunmore]", "Dunmore", ("letter_case",)),
        ('Thought: So.\nAction: finish("It\'s [a] town")', "It's [a] town", ("quoted_argument",)),
        ('Thought: So.\nAction: {"action": "Final Answer", "action_input": "Dunmore"}', "Dunmore", None),
        ("Thought: So.\nAction: Final Answer\nAction Input: Dunmore", "Dunmore", ("action_input", "final_answer")),
        ("Thought: So.\nAction: finish[1,954]", "1,954", ()),
    ],
)
def test_the_end_is_read_in_other_words(text, answer, repairs):
    parsed = read(text)
    assert parsed.action == (answer and Action("finish", answer))
    assert repairs is None or parsed.repairs == repairs


AMBIGUOUS = [
    "Thought: I look.\n**Action:** search[a]\n**Action:** search[b]",
    "Thought 1: I look.\nAction 1: Search[a]\nThought 2: So.\nAction 2: Finish[b]",
    "**Action:** search[a]\n**Final Answer:** b",
    "**Action:** search[a], search[b]",
    '**Action:** search("a"), search("b")',
    'Action: search("a", "b")',
    'Action: search(query="a", site="b")',
    '[{"name": "search", "arguments": {"query": "a"}}, {"name": "search", "arguments": {"query": "b"}}]',
    'Action: {"name": "search", "arguments": {"query": "a", "site": "b"}}',
    'Action: {"name": "search"}',
    "Thought: I would use search[a] now.",
    "Thought: The format is Action: search[a], they say.",
    'Thought: They wrote "Action: search[a]"',
    "> Action: search[a]",
    '"Action: search[a]"',
    "**Action:** none\n**Action:** search[a]",
    "Action: None\nAction Input: a",
    "Action: I look (again) for a",
    "Action: search",
    "Action: search[a\n\nand so on",
    "**Action:** search[]",
    "**Observation:** a\n**Action:** finish[b]",
    "Answer: a",
    "",
]


@pytest.mark.parametrize("text", AMBIGUOUS)
def test_ambiguous_text_stays_as_it_is_and_says_no_action(text):
    assert normalise(text) == (text, ())
    assert normalise(text)[0] is text
    assert read(text).action is None


@pytest.mark.parametrize("argument", ["x", "`", "```"])
def test_a_fence_that_is_all_of_a_thought_stays_one(argument):
    text = f"```\nAction: search[{argument}]"
    assert normalise(text) == (text, ())
    assert read(text) == Parsed("```", Action("search", argument))


def test_what_a_model_invents_under_an_observations_label_in_any_form_is_cut():
    for label in ("observation:", "**Observation:**", "Observation 1:", "- Observation:"):
        reply = f"Thought: I look.\nAction: search[Ines Park]\n\n{label} x\nThought: So.\nAction: finish[Nowhere]"
        assert read(reply).action == WANTED
        assert "\nObservation: x" in written(reply)


# Thoughts and arguments of words, so that a variant's own marks are no part of them.
WORDS = st.lists(
    st.sampled_from(["Ines", "park", "née", "中文", "1,954", "a-b", "it's", "x.", "f(x)"]), min_size=1
).map(" ".join)
MAKERS = [
    lambda t, a: f"**Thought:** {t}\n**Action:** {a.tool}[{a.argument}]",
    lambda t, a: f"Thought 12: {t}\nAction 12: {a.tool.title()}[{a.argument}]",
    lambda t, a: f"```\nThought: {t}\nAction: {a.tool}[{a.argument}]\n```",
    lambda t, a: f'Thought: {t}\nAction: {a.tool}("{a.argument}")',
    lambda t, a: f"Thought: {t}\nAction: {a.tool}\nAction Input: {a.argument}",
    lambda t, a: f"Thought: {t}\nAction: {json.dumps({'action': a.tool, 'action_input': a.argument})}",
    lambda t, a: f"Thought：{t}\nAction：{a.tool}【{a.argument}】",
    lambda t, a: f" * Thought: {t}\n * Action: {a.tool}[{a.argument}]",
    lambda t, a: f"Thought: {t}\nAction: {a.tool}[{a.argument}",
    lambda t, a: f"Thought: {t}. Action: {a.tool}[{a.argument}]",
]
PIECES = [
    *("Thought:", "**Action:**", "Action 1:", "Action Input:", "Final Answer:", "Observation:", "search", "[", "]"),
    *("(", ")", '"', "'", "{", "}", "```", "\n", "\n", " ", "*", "- ", "a", "：", "【", "x.", ": ", ","),
]
FREE = st.one_of(
    st.text(max_size=40),
    st.lists(
        st.sampled_from(PIECES),
        max_size=14,
    ).map("".join),
)


@settings(deadline=None)
@given(st.sampled_from(MAKERS), WORDS, st.sampled_from(["search", "finish"]), WORDS)
def test_what_is_written_in_a_variant_is_read_as_it_was_meant(make, thought, tool, argument):
    action = Action(tool, argument)
    parsed = read(make(thought, action))
    assert parsed.action == action
    assert parsed.thought.rstrip(".") == thought.rstrip(".")
    assert parsed.repairs


@given(FREE, st.sampled_from(["search", "finish"]), FREE)
def test_text_in_the_grammar_is_never_changed(thought, tool, argument):
    text = render(thought, Action(tool, canonical_argument(argument) or "x"))
    assert normalise(text) == (text, ())
    assert normalise(text)[0] is text


@settings(max_examples=5 * settings.default.max_examples)
@given(FREE)
def test_a_repaired_text_is_in_the_grammar_and_invents_no_argument(text):
    repaired, repairs = normalise(text)
    assert normalise(repaired) == (repaired, ())
    assert (repaired is text) == (repairs == ())
    action = grammar.parse(repaired).action
    if repairs:
        assert list(repairs) == sorted(set(repairs))
        assert canonical_argument(action.argument) == action.argument
        # An argument is made of the text's own characters; unmatched square brackets become round.
        assert set(action.argument) <= set(canonical_line(text)) | set("() ")


@settings(deadline=None)
@given(FREE, st.sampled_from(["\\", "{", "[", "- ", "1. ", "`", "(", '"', "Action:", "**", "\n", "a, "]), st.booleans())
def test_long_replies_are_read_in_no_time(head, piece, labelled):
    text = f"{head}\n{'**Action:** ' if labelled else ''}{piece * 5000}"
    assert normalise(text)[0]


@pytest.mark.parametrize(
    "arguments",
    [
        "[" * 900 + "]" * 900,
        "[" * 90_000,
        '{"q":' * 900 + "1" + "}" * 900,
        "9" * 5000,
        '{"function":' * 900 + "1" + "}" * 900,
    ],
)
def test_json_that_no_reader_takes_says_no_action(arguments):
    assert read(f'Action: {{"name": "search", "arguments": {arguments}}}').action is None
    assert read(f"Action: {arguments}").action is None


def test_an_arguments_own_quotes_stay_as_they_are():
    for argument in ("O’Neil's", "O'Neil", "l’été"):
        assert read(f"Action: search('{argument}')").action == Action("search", argument)
        assert read(f'Action: search("{argument}")').action == Action("search", argument)
    assert read(r"Action: search('O\'Neil')").action == Action("search", "O'Neil")


def test_tools_by_other_names_are_told_by_the_recipe_alone():
    names = tool_names({"web_search": "search", "mcp__my_server__search": "search", "Submit Answer": "finish"})
    for name in ("web_search", "web-search", "Web-Search", "WEB_SEARCH", "mcp__my-server__search"):
        assert read(f"Thought: I look.\nAction: {name}[Ines Park]", names).action == WANTED
        assert read(f"Thought: I look.\nAction: {name}[Ines Park]", names).repairs == ("tool_name",)
        assert read(f"Thought: I look.\nAction: {name}[Ines Park]").action == Action(name, "Ines Park")
    assert read("Action: submit answer\nAction Input: Dunmore", names).action == Action("finish", "Dunmore")


async def test_a_rollout_takes_the_action_and_remembers_the_repair():
    replies = (
        "**Thought:** I look.\n**Action:** Search[The Road to Zem author]",
        "Thought: So.\nFinal Answer: Ila Dun",
    )
    trajectory = await agent(*replies).run(question())
    assert [step.action for step in trajectory.steps] == [
        Action("search", "The Road to Zem author"),
        Action("finish", "Ila Dun"),
    ]
    assert [step.repairs for step in trajectory.steps] == [("bold_label", "letter_case"), ("final_answer",)]
    assert [step.completion for step in trajectory.steps] == list(replies)
    assert trajectory.score.exact_match == 1.0


@pytest.mark.parametrize(
    "reply", ["Action: search[The Road to", "Action: search\nAction Input: The Road", "Final Answer: Ila"]
)
async def test_a_reply_cut_by_its_limit_is_never_taken_for_a_whole_action(reply):
    class Cut(ScriptedModel):
        async def complete(self, turns, sampling):
            return Completion((await super().complete(turns, sampling)).text, "length", Usage(10, 5))

    runner = agent(reply)
    object.__setattr__(runner, "model", Cut(reply))
    trajectory = await runner.run(question())
    assert trajectory.stop_reason is StopReason.MAX_TOKENS
    assert trajectory.steps == ()


def test_an_observation_is_shown_as_it_is():
    backend = {"Zem": "**Action:** finish[Bob]\nAction 1: Finish[Bob]"}
    runner = agent("Thought: a.\nAction: search[Zem]", "Thought: So.\nAction: finish[Ila Dun]", texts=backend)
    trajectory = asyncio.run(runner.run(question()))
    assert trajectory.answer == "Ila Dun"
    assert "finish[Bob]" in trajectory.steps[0].observation.text
    assert DictBackend(backend).texts == backend
