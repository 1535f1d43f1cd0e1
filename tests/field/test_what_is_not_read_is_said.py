"""What a row holds beside its turns: counted and said where it is not read, honoured where it forbids training."""

import json

import pytest

from fireact_ray.data.formats.importers import Imported, import_trajectories
from fireact_ray.data.formats.records import read_records
from fireact_ray.data.lint.base import Context
from fireact_ray.data.lint.lint import lint

ASK = "Which lake is the deepest?"
LAST = "Thought: Vell has 312 m.\nAction: finish[Vell]"
MESSAGES = [{"role": "user", "content": ASK}, {"role": "assistant", "content": LAST}]


def chat(*messages: dict, **fields: object) -> dict:
    return {"messages": list(messages) or MESSAGES, **fields}


def marked(**fields: object) -> dict:
    return chat(MESSAGES[0], {**MESSAGES[1], **fields})


def imported(tmp_path, *rows: object) -> Imported:
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return import_trajectories(tmp_path / "x.jsonl", "jsonl")


SAID = {
    "history": (
        {"instruction": ASK, "input": "", "output": LAST, "history": [["Hi", "Hello"]]},
        "`history`, which is not read",
    ),
    "system of an Alpaca row": (
        {"instruction": ASK, "output": LAST, "system": "Be brief."},
        "`system`, which is not read",
    ),
    "a system message": (
        chat({"role": "system", "content": "Be brief."}, *MESSAGES),
        "a system text, which is not read",
    ),
    "several of them": (
        chat({"role": "system", "content": "a"}, {"role": "developer", "content": "b"}, *MESSAGES),
        "a system text, which is not read",
    ),
    "a system field": (
        {"conversations": [{"from": "human", "value": ASK}, {"from": "gpt", "value": LAST}], "system": "Be brief."},
        "a system text, which is not read",
    ),
    "another column": (chat(images=["a.png"]), "`images`, which is not read"),
    "another field of a message": (marked(citations=["x"]), "`citations` in a message, which is not read"),
    "a weight between": (marked(weight=0.5), "`weight` other than 0 and 1 in a message, which is not read"),
    "reasoning apart": (
        marked(reasoning_content="312 is most."),
        "hidden reasoning, which is kept apart and never trained",
    ),
    "reasoning in the text": (
        marked(content=f"<think>312 is most.</think>\n{LAST}"),
        "hidden reasoning, which is kept apart and never trained",
    ),
    "reasoning as a part": (
        marked(content=[{"type": "thinking", "thinking": "312 is most."}, {"type": "text", "text": LAST}]),
        "hidden reasoning, which is kept apart and never trained",
    ),
    "reasoning in an Alpaca row": (
        {"instruction": ASK, "output": f"<think>312 is most.</think>\n{LAST}"},
        "hidden reasoning, which is kept apart and never trained",
    ),
}


@pytest.mark.parametrize("name", SAID)
def test_what_is_not_read_is_counted_and_said(name, tmp_path):
    row, what = SAID[name]
    result = imported(tmp_path, row, chat(), row)
    assert len(result.trajectories) == 3
    assert result.said == [f"2 rows hold {what}"]
    first = result.trajectories[0]
    assert (first.question.text, first.steps[0].thought, first.answer) == (ASK, "Vell has 312 m.", "Vell")
    assert first.steps[0].reasoning == ("312 is most." if "reasoning" in name else "")


def test_what_is_empty_or_null_is_absent_and_nothing_is_said(tmp_path):
    empty = chat(system=None, images=[], history=None, source="", label=None, chosen=None, rejected=None)
    nulls = marked(
        tool_calls=None, function_call={"name": None, "arguments": None}, weight=None, reasoning_content=None
    )
    result = imported(tmp_path, empty, nulls, marked(weight=1, train=True), chat(label=True))
    assert (len(result.trajectories), result.said) == (4, [])


def test_a_key_with_null_is_no_format(tmp_path):
    rows = [
        {"messages": MESSAGES, "conversations": None, "instruction": None, "output": None, "trajectory_id": None},
        {"messages": None, "conversations": [{"from": "human", "value": ASK}, {"from": "gpt", "value": LAST}]},
        {"messages": None, "conversations": None, "instruction": ASK, "output": LAST},
    ]
    result = imported(tmp_path, *rows)
    assert [row.answer for row in result.trajectories] == ["Vell", "Vell", "Vell"]
    assert len({row.trajectory_id for row in result.trajectories}) == 1


def test_text_parts_are_joined_whatever_the_names_of_role_and_text(tmp_path):
    parts = [[{"type": "text", "text": message["content"], "image_url": None}] for message in MESSAGES]
    rows = [
        {"messages": [{"role": r, "content": part} for r, part in zip(("user", "assistant"), parts, strict=True)]},
        {"conversations": [{"role": "user", "content": ASK}, {"role": "assistant", "content": LAST}]},
        {"messages": [{"from": "human", "value": ASK}, {"from": "gpt", "value": LAST}]},
    ]
    assert len({row.trajectory_id for row in imported(tmp_path, *rows).trajectories}) == 1


def test_a_question_that_holds_the_steps_of_others_is_said(tmp_path):
    shots = "Question: How deep is Tam?\nThought: I look.\nAction: search[Tam]\nObservation: 100 m\n\nQuestion: "
    rows = [{"instruction": f"{shots}{ASK}", "output": LAST}, {"instruction": ASK, "output": LAST}]
    (said,) = imported(tmp_path, *rows).said
    assert said == "1 row holds a question with steps in it, such as a few-shot prompt, which is kept as the question"


def test_parts_of_what_a_tool_showed_are_texts_of_their_own_and_a_models_are_one(tmp_path):
    found = [{"type": "text", "text": "Lake Vell"}, {"type": "text", "text": "Lake Tam"}]
    said = [{"type": "text", "text": "Thought: I lo"}, {"type": "text", "text": "ok.\nAction: search[Vell]"}]
    turns = [("user", ASK), ("assistant", said), ("tool", found), ("assistant", LAST)]
    (row,) = imported(tmp_path, {"messages": [{"role": r, "content": c} for r, c in turns]}).trajectories
    assert (row.steps[0].thought, row.steps[0].observation.text) == ("I look.", "Lake Vell Lake Tam")


REFUSED = {
    "weight": (marked(weight=0), "untrained_turn", "message 2 is marked as not to be learnt (weight: 0)"),
    "a float": (marked(weight=0.0), "untrained_turn", "weight: 0.0"),
    "loss": (marked(loss=False), "untrained_turn", "loss: False"),
    "train": (marked(train="false"), "untrained_turn", "train: false"),
    "trainable": (marked(trainable=False), "untrained_turn", "trainable: False"),
    "masked": (marked(masked=True), "untrained_turn", "masked: True"),
    "a call": (
        {"conversations": [{"from": "human", "value": ASK}, {"from": "function_call", "value": "{}", "loss": False}]},
        "untrained_turn",
        "loss: False",
    ),
    "label": (chat(label=False), "rejected_example", "'label' is false: an example of what not to do"),
    "kto_tag": (chat(kto_tag=False), "rejected_example", "'kto_tag' is false"),
    "a pair": ({"prompt": ASK, "chosen": MESSAGES, "rejected": MESSAGES}, "preference_pair", "'chosen' and 'rejected'"),
    "a pair and messages": (chat(chosen=LAST, rejected="No."), "preference_pair", "give the chosen"),
    "a picture": (
        chat({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}, MESSAGES[1]),
        "unparsable",
        "message 1 holds a part 'image_url'",
    ),
    "two questions": (chat(MESSAGES[0], *MESSAGES), "same_role_twice", "turns 1 and 2 are both of role user"),
    "two replies": (chat(*MESSAGES, MESSAGES[1]), "same_role_twice", "turns 2 and 3 are both of role assistant"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_must_not_be_trained_is_refused_by_its_kind(name, tmp_path):
    row, kind, detail = REFUSED[name]
    result = imported(tmp_path, chat(), row)
    assert len(result.trajectories) == 1
    assert [(rejection.row, rejection.kind) for rejection in result.rejections] == [(2, kind)]
    assert detail in result.rejections[0].detail


def test_marks_on_other_turns_than_the_assistants_change_nothing(tmp_path):
    assert len(imported(tmp_path, chat({**MESSAGES[0], "weight": 0}, MESSAGES[1])).trajectories) == 1


def test_a_reply_whose_only_thought_is_hidden_has_none_and_that_is_said(tmp_path):
    row = {
        "messages": [
            MESSAGES[0],
            {"role": "assistant", "content": "Vell", "reasoning_content": "Vell has 312 m."},
        ],
        "tools": [{"type": "function"}],
    }
    result = imported(tmp_path, row)
    (step,) = result.trajectories[0].steps
    assert (step.thought, step.reasoning, step.action.argument) == ("", "Vell has 312 m.", "Vell")
    assert result.said == [
        "1 row holds a reply without a thought but for hidden reasoning, which is never trained (`no_thought`)",
        "1 row holds hidden reasoning, which is kept apart and never trained",
    ]


def test_the_lint_finds_hidden_reasoning_that_an_import_cuts_off(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text("\n".join(map(json.dumps, [marked(content=f"<think>Ulm?</think>\n{LAST}"), chat()])))
    report = lint(read_records(str(path)), Context())
    assert report.rows["hidden_reasoning"] == (1,)
    assert report.rows["unreadable"] == ()


def test_an_observation_is_kept_whole_however_long_it_is(tmp_path):
    shown = "hills and more hills. " * 2000 + "Lake Vell is 312 m deep."
    look = {"role": "assistant", "content": "Thought: I look.\nAction: search[lakes]"}
    result = imported(tmp_path, chat(MESSAGES[0], look, {"role": "tool", "content": shown}, MESSAGES[1]))
    assert result.trajectories[0].steps[0].observation.text == shown


PROMPT = "You may use the tool search as often as you need it, and you answer in as few words as you can."


@pytest.mark.parametrize(
    ("thought", "question", "rows"),
    [
        (f"{PROMPT} Vell has 312 m.", ASK, (1,)),
        ("Vell has 312 m.", ASK, ()),
        ("I use the tool search as often as I can.", ASK, ()),
        (f"{PROMPT} Vell has 312 m.", f"{PROMPT} {ASK}", ()),
    ],
)
def test_a_thought_that_recites_the_rows_own_prompt_is_found(thought, question, rows, tmp_path):
    turns = [("system", PROMPT), ("user", question), ("assistant", f"Thought: {thought}\nAction: finish[Vell]")]
    (tmp_path / "x.jsonl").write_text(json.dumps(chat(*({"role": r, "content": t} for r, t in turns))))
    assert lint(read_records(str(tmp_path / "x.jsonl")), Context()).rows["leaked_prompt"] == rows
