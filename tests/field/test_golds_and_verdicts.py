"""Answers as files name them are read and cleaned; verdicts and letters count whatever form they are put in."""

import json
import logging
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireact_ray.core.errors import InputError
from fireact_ray.core.types import Question
from fireact_ray.tasks import TASKS, load_questions
from fireact_ray.tasks.forms import bare
from fireact_ray.tasks.golds import Unreadable, accepted


def load(tmp_path, task, name, content):
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / name).write_text(text)
    return load_questions(task, str(tmp_path / name), "dev")


@pytest.mark.parametrize(
    ("row", "golds"),
    [
        ({"answer": "Tarn"}, ("Tarn",)),
        ({"answer": 1954}, ("1954",)),
        ({"answer": 1954.0}, ("1954",)),
        ({"answer": -3.0}, ("-3",)),
        ({"answer": 3.5}, ("3.5",)),
        ({"answer": 1e300}, ("1e+300",)),
        ({"answer": "1954.0"}, ("1954.0",)),  # a text is what somebody wrote
        ({"answer": float("nan")}, ()),
        ({"answer": float("inf")}, ()),
        ({"answer": None}, ()),
        ({"answer": ""}, ()),
        ({"answer": " \u200b\n"}, ()),
        ({}, ()),
        ({"answer": True}, ("yes", "true")),
        ({"answer": False}, ("no", "false")),
        ({"answer": "Lake\u200b  Tarn\n"}, ("Lake Tarn",)),
        ({"answer": "a] b"}, ("a) b",)),  # as an agent's finish[...] would have it
        ({"answers": ["Ada Moe", "A. Moe", "Ada Moe", None, float("nan")]}, ("Ada Moe", "A. Moe")),
        ({"golden_answers": ["Tarn"]}, ("Tarn",)),
        ({"golden_answers": ["Tarn"], "answer": None, "answers": []}, ("Tarn",)),
        ({"answer": "Tarn", "golden_answers": ["Lake Tarn", "Tarn"]}, ("Tarn", "Lake Tarn")),
        ({"answer": ["Tarn", "Lake Tarn"]}, ("Tarn", "Lake Tarn")),
        ({"answer": "Tarn", "answer_aliases": ["Lake Tarn"]}, ("Tarn", "Lake Tarn")),
        ({"answer": "Tarn", "aliases": None}, ("Tarn",)),
        ({"answer": {"value": "Tarn", "aliases": ["Lake Tarn"], "type": "x"}}, ("Tarn", "Lake Tarn")),
        ({"answers": {"text": ["Tarn", "Tarn"], "answer_start": [3, 9]}}, ("Tarn",)),
        ({"ground_truth": {"target": ["Tarn"]}}, ("Tarn",)),
        ({"possible_answers": '["Tarn", "Lake Tarn"]'}, ("Tarn", "Lake Tarn")),
        ({"answer": "['Tarn', \"Ada's lake\"]"}, ("Tarn", "Ada's lake")),  # as pandas writes a list into a CSV
        ({"answer": "['Tarn' 'Ulm']"}, ("['Tarn' 'Ulm']",)),  # as numpy does, which nothing can be told from
        ({"answer": "['Tarn', 7]"}, ("['Tarn', 7]",)),
        ({"answer": "['Tarn"}, ("('Tarn",)),
        ({"answer": "[Tarn]"}, ("[Tarn]",)),
        ({"gold": "Tarn"}, ("Tarn",)),
    ],
)
def test_what_a_row_accepts_is_read_under_whatever_name_and_in_whatever_form(row, golds):
    assert accepted(row) == golds


@pytest.mark.parametrize(
    "row",
    [
        {"answer": {"no": "Tarn"}},
        {"answer": [[[["Tarn"]]]]},
        {"answer": "Tarn", "answers": ["Ulm"]},
        {"answer": 1954, "gold": "1955"},
    ],
)
def test_what_cannot_be_read_or_disagrees_is_refused_and_never_left_out(row, tmp_path):
    with pytest.raises(Unreadable) as why:
        accepted(row)
    with pytest.raises(InputError, match=re.escape(f"row 1: {why.value}. Mend or remove this row.")):
        load(tmp_path, "jsonl", "q.jsonl", json.dumps({"question": "Which lake?", **row}) + "\n")


ANSWERS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["value", "text", "x"]), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["answer", "answers", "golden_answers", "aliases"]), ANSWERS))
def test_any_row_gives_clean_texts_or_is_refused(row):
    try:
        golds = accepted(row)
    except Unreadable:
        return
    assert all(gold and gold == " ".join(gold.split()) for gold in golds)
    assert len(set(golds)) == len(golds)


def test_ones_own_questions_may_name_answers_as_others_do(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    rows = [
        '{"question": "When?", "answer": 1954.0, "id": null, "kind": null}',
        '{"question": "Is it deep?", "answer": true}',
        '{"question": "Which lake?", "golden_answers": ["Tarn"]}',
        '{"question": "How deep?", "answer": NaN}',
    ]
    questions = load(tmp_path, "jsonl", "q.jsonl", "\n".join(rows))
    assert [question.answers for question in questions] == [("1954",), ("yes", "true"), ("Tarn",), ()]
    assert TASKS["jsonl"].score(questions[0], "1954").exact_match == 1.0
    assert [record.getMessage().split("q.jsonl: ")[1] for record in caplog.records] == [
        "1 of 4 questions name no answer (nothing, null, NaN or an empty text): they are asked and not scored."
    ]


def test_a_set_without_any_answers_is_meant_so(tmp_path, caplog):
    assert load(tmp_path, "jsonl", "q.jsonl", '{"question": "How deep?"}\n')[0].answers == ()
    assert not caplog.records


def test_hotpotqas_sisters_name_aliases_and_null(tmp_path):
    rows = [
        {"_id": "1", "question": "a?", "answer": "Tarn", "answer_aliases": ["Lake Tarn"]},
        {"_id": "2", "question": "b?", "answer": None},
        {"_id": "3", "question": "c?", "answer": 7},
    ]
    assert [q.answers for q in load(tmp_path, "hotpotqa", "x.json", rows)] == [("Tarn", "Lake Tarn"), (), ("7",)]


def test_strategyqas_answers_may_be_texts_or_null(tmp_path):
    rows = [
        {"qid": str(i), "question": f"{i}?", "answer": answer} for i, answer in enumerate((True, "No", "true", None))
    ]
    assert [q.answers for q in load(tmp_path, "strategyqa", "x.json", rows)] == [("yes",), ("no",), ("yes",), ()]


@pytest.mark.parametrize("cell", ["B", "b", "(B)", '"""B"""', " B. "])
def test_mmlus_letter_may_stand_in_brackets_or_quotes(cell, tmp_path):
    row = f"Which lake?,Ulm,Tarn,Zem,Orr,{cell}\n"
    assert load(tmp_path, "mmlu", "lakes_dev.csv", row)[0].answers == ("B", "Tarn")


YES, NO = (Question("strategyqa", "1", "Is it?", (verdict,)) for verdict in ("yes", "no"))

SAYS_YES = [
    *("yes", "Yes.", "TRUE", "true", " yes ", '"yes"', "'Yes'", "“Yes”", "**Yes**", "*yes*", "_Yes._", "`yes`"),
    *("(yes)", "[Yes]", "[Yes].", "Answer: yes", "Answer: **Yes**", "The answer is yes.", "Final answer: Yes"),
    *(
        "<answer>yes</answer>",
        "\\boxed{Yes}",
        "$\\boxed{\\text{yes}}$",
        "Yes, it is.",
        "**Yes**, it is.",
        "Yes - it is",
    ),
    *("**Yes, it is.**", '"Yes", it is', "yes (it is)"),
]


@pytest.mark.parametrize("answer", SAYS_YES)
def test_a_verdict_counts_in_any_form(answer):
    score = TASKS["strategyqa"].score
    assert (score(YES, answer).exact_match, score(NO, answer).exact_match) == (1.0, 0.0)


@pytest.mark.parametrize(
    "answer",
    ["", "no information found", "Yesterday", "not known", "Answer:", "**", '""', "maybe yes", "yes and no", "[]"],
)
def test_what_is_no_verdict_counts_for_none(answer):
    score = TASKS["strategyqa"].score
    assert (score(YES, answer).exact_match, score(NO, answer).exact_match) == (0.0, 0.0)


LAKES = Question("mmlu", "1", 'Which lake?\nA. 410 m\nB. The deep one\nC. "Zem"\nD. -1', ("B", "The deep one"))

MEANS_B = [
    *(
        "B",
        "b",
        "(B)",
        "B.",
        "B)",
        "[B]",
        '"B"',
        "'b'",
        "“B”",
        "**B**",
        "**B.**",
        "**(B)**",
        "*B*",
        "`B`",
        "(B).",
        "B:",
    ),
    *(
        "Answer: B",
        "Answer: (B)",
        "answer is B",
        "The correct answer is B.",
        "Final Answer: **B**",
        "<answer>B</answer>",
    ),
    *(
        "\\boxed{B}",
        "$\\boxed{\\text{B}}$",
        "B. The deep one",
        "(B) The deep one",
        "**B** The deep one",
        "**B.** The deep",
    ),
    *("The deep one", "the deep one.", '"The deep one"', "**The deep one**", "Answer: The deep one", "Option: B"),
    *("[B] because it is deep", '"B" is right'),
]


@pytest.mark.parametrize("answer", MEANS_B)
def test_a_letter_counts_in_any_form(answer):
    assert TASKS["mmlu"].score(LAKES, answer).exact_match == 1.0


@pytest.mark.parametrize(
    "answer",
    [
        "A",
        "(A)",
        "B or C",
        "(A) or (B)",
        "Because it is deep",
        "Both",
        "A deep one",
        "Answer:",
        "",
        "**",
        "BB",
        "1",
        "AB",
    ],
)
def test_another_answer_is_not_that_letter(answer):
    assert TASKS["mmlu"].score(LAKES, answer).exact_match == 0.0


def test_marks_that_belong_to_a_choice_stay():
    for letter, choice in (("A", "410 m"), ("C", '"Zem"'), ("D", "-1")):
        question = Question("mmlu", "1", LAKES.text, (letter, choice))
        assert TASKS["mmlu"].score(question, choice).exact_match == 1.0


@given(st.text("ab()[]\"'*_`{}<> .:", max_size=12))
def test_taking_the_form_off_twice_takes_off_no_more(text):
    assert bare(bare(text)) == bare(text)
