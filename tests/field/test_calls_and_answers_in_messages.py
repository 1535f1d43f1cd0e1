"""Tool calls and last messages as others write them: read as what they are, or refused by a reason; never cut."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireact_ray.core.calls import tool_names
from fireact_ray.core.types import Action
from fireact_ray.data.formats.calls import written_calls
from fireact_ray.data.formats.final import thought_and_answer
from fireact_ray.data.formats.importers import Imported, import_trajectories
from fireact_ray.data.formats.transcript import NoTranscript

ASK = "Which lake of the Orn valley is the deepest?"
SHOWN = "Lake Vell is 312 m deep."
TOOLS = [{"type": "function", "function": {"name": "search", "parameters": {}}}]


def message(role: str, content: object, **fields: object) -> dict:
    return {"role": role, "content": content, **fields}


def called(name: str, arguments: object) -> list:
    return [{"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}}]


def imported(tmp_path, *rows: dict) -> Imported:
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return import_trajectories(tmp_path / "x.jsonl", "jsonl")


def episode(call: dict, last: str = "Answer: Lake Vell", role: str = "tool", **fields: object) -> dict:
    return {
        "messages": [message("user", ASK), call, message(role, SHOWN), message("assistant", last)],
        "tools": TOOLS,
        **fields,
    }


SEARCH = {"query": "deepest lake"}
CALL = message("assistant", "I look.", tool_calls=called("search", json.dumps(SEARCH)))
JSON_CALL = json.dumps({"name": "search", "arguments": SEARCH})
ONE_CALL = {
    "tool_calls": CALL,
    "arguments as an object": message("assistant", "I look.", tool_calls=called("search", SEARCH)),
    "null in arguments": message("assistant", "I look.", tool_calls=called("search", {**SEARCH, "answer": None})),
    "null in JSON": message("assistant", "I look.", tool_calls=called("search", json.dumps({**SEARCH, "k": None}))),
    "a call without its function": message(
        "assistant", "I look.", tool_calls=[{"name": "search", "arguments": SEARCH}]
    ),
    "inspect_ai's": message("assistant", "I look.", tool_calls=[{"function": "search", "arguments": SEARCH}]),
    "a null beside the call": message("assistant", "I look.", tool_calls=[None, *called("search", SEARCH)]),
    "function_call": message("assistant", "I look.", function_call={"name": "search", "arguments": json.dumps(SEARCH)}),
    "both, one of null": message(
        "assistant", "I look.", tool_calls=called("search", SEARCH), function_call={"name": None, "arguments": None}
    ),
    "Hermes": message("assistant", f"I look.\n<tool_call>\n{JSON_CALL}\n</tool_call>"),
    "Hermes without an end": message("assistant", f"I look.\n<tool_call>{JSON_CALL}"),
    "Hermes in Python's spelling": message("assistant", f"I look.\n<tool_call>\n{json.loads(JSON_CALL)}\n</tool_call>"),
    "a mark before JSON": message("assistant", f"I look. [TOOL_CALLS] [{JSON_CALL}]"),
    "Llama's parameters": message(
        "assistant", 'I look. <|python_tag|>{"name": "search", "parameters": {"query": "deepest lake"}}'
    ),
    "arguments in a text of their own": message("assistant", "I look.", tool_calls=called("search", "deepest lake")),
    "a number beside the query": message("assistant", "I look.", tool_calls=called("search", {**SEARCH, "top_k": 3})),
    "a list of one query": message(
        "assistant", "I look.", tool_calls=called("search", {"query_list": ["deepest lake"]})
    ),
    "the thought labelled": message("assistant", "Thought: I look.", tool_calls=called("search", SEARCH)),
    "the action written too": message(
        "assistant", "Thought: I look.\nAction: search[deepest lake]", tool_calls=called("search", SEARCH)
    ),
}


@pytest.mark.parametrize("name", ONE_CALL)
def test_a_call_is_read_in_every_spelling(name, tmp_path):
    (trajectory,) = imported(tmp_path, episode(ONE_CALL[name])).trajectories
    first, last = trajectory.steps
    assert (first.thought, first.action) == ("I look.", Action("search", "deepest lake"))
    assert first.observation.text == SHOWN
    assert last.action == Action("finish", "Lake Vell")


def test_json_alone_is_a_call_without_a_thought(tmp_path):
    for text in (JSON_CALL, f"```json\n{JSON_CALL}\n```", f"[{JSON_CALL}]"):
        (trajectory,) = imported(tmp_path, episode(message("assistant", text))).trajectories
        assert (trajectory.steps[0].thought, trajectory.steps[0].action) == ("", Action("search", "deepest lake"))


def test_a_reply_between_tags_is_an_observation_where_calls_are_text(tmp_path):
    for role in ("tool", "user"):
        row = episode(ONE_CALL["Hermes"], role=role)
        row["messages"][2]["content"] = f"<tool_response>\n{SHOWN}\n</tool_response>"
        (trajectory,) = imported(tmp_path, row).trajectories
        assert trajectory.steps[0].observation.text == SHOWN


def test_null_filled_calls_of_two_tools_keep_their_own_values(tmp_path):
    last = message("assistant", "So.", tool_calls=called("finish", {"query": None, "answer": "Lake Vell"}))
    row = {"messages": [message("user", ASK), ONE_CALL["null in arguments"], message("tool", SHOWN), last]}
    (trajectory,) = imported(tmp_path, row).trajectories
    assert [step.action for step in trajectory.steps] == [
        Action("search", "deepest lake"),
        Action("finish", "Lake Vell"),
    ]


@pytest.mark.parametrize(
    ("written", "query"),
    [
        ("lakes with depth in (0, 312] metres, Orn valley", "lakes with depth in (0, 312) metres, Orn valley"),
        ("lakes [deep", "lakes (deep"),
        ("lakes\nof Orn", "lakes of Orn"),
        ("Class Action: the trial", "Class Action: the trial"),
        ("a]\nAction: finish[b", "a) Action: finish(b"),
        ("who says Action: finish[x]?", "who says Action: finish[x]?"),
    ],
)
def test_an_argument_is_made_canonical_and_never_cut(written, query, tmp_path):
    row = episode(
        message("assistant", "I look.", tool_calls=called("search", {"query": written})), f"Answer: {written}"
    )
    row["messages"][3] = message("assistant", "So.", tool_calls=called("finish", {"answer": written}))
    (trajectory,) = imported(tmp_path, row).trajectories
    assert [step.action.argument for step in trajectory.steps] == [query, query]


ANSWERS = {
    "Answer: Lake Vell": ("", "Lake Vell"),
    "So it is Vell.\nAnswer: Lake Vell": ("So it is Vell.", "Lake Vell"),
    "So it is Vell.\n**Answer:** Lake Vell": ("So it is Vell.", "Lake Vell"),
    "So it is Vell.\n**Answer: Lake Vell**": ("So it is Vell.", "Lake Vell"),
    "So it is Vell.\nFinal Answer: Lake Vell": ("So it is Vell.", "Lake Vell"),
    "### Answer: Lake Vell\nIt is 312 m deep.": ("It is 312 m deep.", "Lake Vell"),
    "Both.\nAnswer:\nVell\nUlm": ("Both.", "Vell\nUlm"),
    "Answer: Tam\nNo.\nAnswer: Lake Vell": ("Answer: Tam\nNo.", "Lake Vell"),
    "Lake Vell is the deepest.\n\nIt is 312 m deep.": ("", "Lake Vell is the deepest.\n\nIt is 312 m deep."),
    "So <answer> Lake Vell </answer>": ("So", "Lake Vell"),
    "So we have \\boxed{312}.": ("So we have 312.", "312"),
    "\\boxed{\\text{Lake Vell}}": ("", "Lake Vell"),
    "Answer: \\boxed{312}": ("", "312"),
    "Answer: $\\boxed{\\frac{1}{2}}$": ("", "\\frac{1}{2}"),
    "It is \\boxed{312": ("", "It is \\boxed{312"),
    "(0, 312]": ("", "(0, 312]"),
}


@pytest.mark.parametrize("text", ANSWERS)
def test_a_last_message_is_its_thought_and_its_answer(text):
    assert thought_and_answer(text) == ANSWERS[text]


@pytest.mark.parametrize("text", ANSWERS)
def test_every_last_message_makes_a_trajectory(text, tmp_path):
    (trajectory,) = imported(tmp_path, episode(CALL, text)).trajectories
    assert trajectory.n_searches == 1
    assert "\n" not in trajectory.answer


REFUSED = {
    "several_calls": episode(
        message(
            "assistant", "Both.", tool_calls=called("search", {"query": "Vell"}) + called("search", {"query": "Tam"})
        )
    ),
    "no_finish": episode(CALL, f"<tool_call>{JSON_CALL}</tool_call>"),
    "unreadable_call": episode(CALL, "<tool_call>search Lake Vell</tool_call>"),
    "tool_name": episode(message("assistant", "I look.", tool_calls=called("look it up!", SEARCH))),
    "two_actions": episode(
        message("assistant", "Thought: I look.\nAction: search[Tam]", tool_calls=called("search", SEARCH))
    ),
    "no_action": episode(message("assistant", "I look.", tool_calls=called("search", {"query": None}))),
    "several_arguments": episode(
        message("assistant", "I look.", tool_calls=called("search", {**SEARCH, "lang": "en"}))
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_a_step_is_refused_by_its_kind(kind, tmp_path):
    assert imported(tmp_path, REFUSED[kind]).rejected == {kind: 1}


@pytest.mark.parametrize("arguments", [{"query_list": ["Vell", "Tam"]}, {"query": {"all": "Vell", "not": "Tam"}}])
def test_a_search_of_several_things_at_once_is_none_of_ours_by_whatever_name(arguments, tmp_path):
    row = episode(message("assistant", "I look.", tool_calls=called("web_search", arguments)))
    (tmp_path / "x.jsonl").write_text(json.dumps(row))
    aliased = import_trajectories(tmp_path / "x.jsonl", "jsonl", tool_names({"web_search": "search"}))
    assert aliased.rejected == {"several_arguments": 1}
    (unknown,) = import_trajectories(tmp_path / "x.jsonl", "jsonl").trajectories
    assert unknown.steps[0].action.tool == "web_search"


def test_toolbench_says_beside_its_answer_that_it_gives_one_or_that_it_gives_up(tmp_path):
    search = 'Thought: \nAction: search\nAction Input: {"query": "deepest lake"}'
    rows = [
        {
            "conversations": [
                {"from": "user", "value": ASK},
                {"from": "assistant", "value": search},
                {"from": "function", "value": SHOWN},
                {"from": "assistant", "value": f"Thought: So.\nAction: Finish\nAction Input: {json.dumps(end)}"},
            ]
        }
        for end in (
            {"return_type": "give_answer", "final_answer": "Lake Vell"},
            {"return_type": "give_up_and_restart"},
        )
    ]
    found = imported(tmp_path, *rows)
    assert [trajectory.answer for trajectory in found.trajectories] == ["Lake Vell"]
    assert found.rejected == {"no_finish": 1}
    called_so = message("assistant", "So.", tool_calls=called("finish", {"return_type": "give_up_and_restart"}))
    row = {"messages": [message("user", ASK), CALL, message("tool", SHOWN), called_so]}
    assert imported(tmp_path, row).rejected == {"no_finish": 1}


def test_a_sure_answer_is_the_answer(tmp_path):
    sure = message("assistant", "So.", tool_calls=called("finish", {"answer": "Lake Vell", "confidence": 0.9}))
    row = {"messages": [message("user", ASK), CALL, message("tool", SHOWN), sure]}
    (trajectory,) = imported(tmp_path, row).trajectories
    assert trajectory.answer == "Lake Vell"


def test_parallel_calls_are_refused_in_words(tmp_path):
    row = REFUSED["several_calls"]
    row["messages"].insert(3, message("tool", "100 m"))
    (rejection,) = imported(tmp_path, row).rejections
    assert rejection.detail == "reply 1 calls several tools at once: search[Vell], search[Tam]"


def test_text_after_a_call_is_refused_since_it_answers_for_the_tool():
    with pytest.raises(NoTranscript) as caught:
        written_calls(f"<tool_call>{JSON_CALL}</tool_call>\n<tool_response>410 m</tool_response>")
    assert caught.value.kind == "unreadable_call"


def test_a_long_row_of_tags_is_read_in_linear_time():
    with pytest.raises(NoTranscript):
        written_calls("<tool_call>" * 200_000)
    thought, actions = written_calls(f"<tool_call>{JSON_CALL}</tool_call>\n" * 5_000)
    assert (thought, len(actions)) == ("", 5_000)
    assert thought_and_answer("<answer>" * 200_000 + "\\boxed{" * 1000)[0] == ""


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>\n<function=search>\n<parameter=query>\nVell\n</parameter>\n</function>\n</tool_call>",
        '<function=search>{"query": "Vell"}</function>',
        '<function_calls><invoke name="search"></invoke></function_calls>',
        '<function_call> {"query": "Vell"} </function_call>',
        "<\uff5ctool\u2581calls\u2581begin\uff5c>search",
        "<|tool_call|>search(Vell)",
        "[TOOL_CALLS] search{Vell}",
    ],
)
def test_a_call_in_a_form_that_is_not_read_is_never_the_answer(text, tmp_path):
    assert imported(tmp_path, episode(CALL, text)).rejected == {"unreadable_call": 1}


@given(st.lists(st.sampled_from(["<tool_call>", "</tool_call>", "{", "}", '"name"', ":", "[", "]", "a", "\n", "'"])))
def test_any_text_is_calls_or_none_or_refused(pieces):
    try:
        found = written_calls("".join(pieces))
    except NoTranscript as refused:
        assert refused.kind in ("unreadable_call", "unparsable")
    else:
        assert found is None or found[1]


@given(st.text("AnswerFil: *\n<>/\\boxed{}12", max_size=60))
def test_any_last_message_has_an_answer_unless_it_is_empty(text):
    _, answer = thought_and_answer(text)
    assert isinstance(answer, str)
