"""Two questions are the same whatever their quotes, dashes, accents, labels and instructions; and no others are."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireact_ray.core.errors import InputError, RecipeError
from fireact_ray.core.utils.folding import folded
from fireact_ray.data.lint.contamination import QuestionIndex
from fireact_ray.data.lint.similarity import near_duplicates
from fireact_ray.recipe.evaluation_questions import evaluation_questions
from fireact_ray.recipe.loader import load_recipe

BAND = 'Did the singer of "Déjà Vu" tour with Beyoncé\'s band in 2001-2005?'
SKY = "Is the sky of Orr green?"
RIVERS = "Which of these rivers of Orr was dammed first, in the year 1911, by Ada Moe?"
MMLU = RIVERS + "\nA. Tarn\nB. Ulm\nC. Zem\nD. Sull"


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Who’s “older”—Ada or Bo?", "whos older ada or bo"),
        ("Who's 'older' - Ada or Bo", "whos older ada or bo"),
        ("W\u200bho\u00ad is\u2060 older\ufeff?", "who is older"),
        ("Ｗｈｏ　ｉｓ　ｏｌｄｅｒ？", "who is older"),
        ("Beyoncé, Beyonce\u0301 and BEYONCE", "beyonce beyonce and beyonce"),
        ("The ﬁrst ½ of the U.S. budget: 1,000", "the first 1 2 of the us budget 1000"),
        ("Straße STRASSE", "strasse strasse"),
        ("**Who** is _older_?", "who is older"),
        ("Jean‑Luc – Jean-Luc − Jean—Luc", "jean luc jean luc jean luc"),
        ("谁更老？", "谁 更 老"),
        ("... ?!", ""),
        ("", ""),
    ],
)
def test_what_no_reader_would_call_a_difference_is_folded_away(text, plain):
    assert folded(text) == plain


@given(st.text(max_size=30))
def test_folding_twice_is_folding_once_and_normal_forms_do_not_matter(text):
    once = folded(text)
    assert folded(once) == once
    assert folded(unicodedata.normalize("NFD", text)) == once
    assert folded(f"\u200b{text}\u00ad ?") == once


@given(st.text(st.characters(codec="ascii"), max_size=30))
def test_the_short_way_for_plain_text_is_the_long_way(text):
    assert folded(text) == folded(text + " \u2014")


@pytest.mark.parametrize(
    "asked",
    [
        "did the singer of “deja vu” tour with BEYONCE’S band in 2001–2005",
        "Did the singer of 'Déjà Vu' tour with Beyoncé's band in 2001—2005 ?",
        "Question: " + BAND,
        "Q: " + BAND + "\nA:",
        "### Question\n" + BAND + "\n\n### Answer",
        "**Question 12:** " + BAND,
        "Answer the following question with yes or no, step by step, and think before you search.\n\n" + BAND,
        "You are a helpful agent. Use search[query]. " + BAND + " Think step by step.",
        "Context: Orr is a town. It has three lakes and no harbour. Question: " + BAND + " Answer:",
        BAND + "\n(A) yes\n(B) no",
    ],
)
def test_the_same_question_in_other_clothes_is_found(asked):
    assert QuestionIndex([SKY, BAND, MMLU], 0.9).find(asked) == BAND


@pytest.mark.parametrize(
    "asked",
    [
        "Q: Is the sky of Orr green?",
        "Answer with yes or no.\nIs the sky of Orr green?",
        "Answer with yes or no. Is the sky of Orr green?",
        "Instruction: yes or no. Question: Is the sky of Orr green? Answer:",
    ],
)
def test_a_short_question_is_found_behind_a_label_a_line_or_a_sentence(asked):
    assert QuestionIndex([BAND, SKY], 0.9).find(asked) == SKY


@pytest.mark.parametrize(
    "choices", ["", " (A) Tarn (B) Ulm (C) Zem (D) Sull", "\n1) Sull\n2) Zem\n3) Ulm\n4) Tarn", "\nA: Sull\nB: Zem"]
)
def test_answer_choices_in_another_order_or_none_are_the_same_question(choices):
    assert QuestionIndex([BAND, MMLU], 0.9).find(RIVERS + choices) == MMLU


@pytest.mark.parametrize(
    "asked",
    [
        "Is the sky of Ulm green?",
        "The sky of Orr is green. Is the sea of Orr blue?",
        "Which of these rivers of Orr was dammed last?\nA. Tarn\nB. Ulm\nC. Zem\nD. Sull",
        "Did the singer of Déjà Vu tour with another band in 2001?",
        "Question:",
        "Q: A:",
        "",
        "\u200b",
    ],
)
def test_another_question_is_another(asked):
    assert QuestionIndex([BAND, SKY, MMLU], 0.9).find(asked) is None


def test_questions_that_begin_alike_and_offer_other_choices_are_not_the_same():
    one = "Which of these is true?\nA. Tarn is deep.\nB. Ulm is long.\nC. Zem is far.\nD. Sull is cold."
    other = "Which of these is true?\nA. Cats bark.\nB. Dogs purr.\nC. Cows fly.\nD. Birds sing."
    assert QuestionIndex([one], 0.9).find(other) is None


def test_a_text_of_a_megabyte_costs_one_pass():
    text = "so it goes on " * 70_000
    assert QuestionIndex([BAND, SKY, MMLU], 0.9).find(text + BAND) == BAND


def test_rows_that_differ_in_quotes_and_dashes_only_are_near_duplicates():
    rows = ["Thought: It's “Zem” – 1911 it was, I think", 'Thought: It’s "Zem" - 1911 it was, I think']
    assert near_duplicates(rows, 1.0) == {1: 0}


def recipe(tmp_path, **convert):
    (tmp_path / "q.jsonl").write_text('{"question": "Who is older?", "answer": "Ada"}\n')
    (tmp_path / "s.json").write_text(json.dumps([{"question": SKY, "answer": False}]))
    (tmp_path / "r.yaml").write_text(
        json.dumps({"name": "r", "task": {"name": "jsonl", "path": "q.jsonl"}, "convert": convert})
    )
    return load_recipe(str(tmp_path / "r.yaml"))


def test_a_recipe_keeps_the_questions_of_several_sets_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    against = [{"task": "strategyqa", "path": "s.json"}, {"task": "jsonl", "path": str(tmp_path / "q.jsonl")}]
    assert evaluation_questions(recipe(tmp_path)) == ["Who is older?"]
    loaded = recipe(tmp_path, decontaminate_against=against)
    assert evaluation_questions(loaded) == ["Who is older?", SKY, "Who is older?"]


def test_the_recipe_for_fireacts_data_keeps_strategyqas_dev_questions_out():
    (one,) = load_recipe("released").convert.decontaminate_against
    assert (one.task, one.split) == ("strategyqa", "dev")


def test_a_set_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"Task 'strategyqa': .*nowhere\.json does not exist"):
        evaluation_questions(recipe(tmp_path, decontaminate_against=[{"task": "strategyqa", "path": "nowhere.json"}]))
    with pytest.raises(RecipeError, match="unknown task; known: almanac"):
        recipe(tmp_path, decontaminate_against=[{"task": "hotpot"}])


def test_a_threshold_of_0_asks_for_a_word_in_common():
    assert QuestionIndex([SKY], 0.0).find("Orr?") == SKY
    assert QuestionIndex([SKY], 0.0).find("Ulm!") is None
    assert QuestionIndex([], 0.0).find("Orr?") is None
