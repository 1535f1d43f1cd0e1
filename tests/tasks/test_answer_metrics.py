import json
import re
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireact_ray.core.types import Question
from fireact_ray.tasks import TASKS
from fireact_ray.tasks.answer_metrics import AnswerMetrics, text_metrics
from fireact_ray.tasks.scoring import Overlap, best_score, normalise, overlap

HOTPOTQA_DEV = Path(__file__).parents[3] / "shared/data/questions/hotpotqa_dev.json"


def question(*answers: str, task: str = "hotpotqa", text: str = "Which?") -> Question:
    return Question(task, "q", text, answers)


def metrics(answer: str | None, *answers: str) -> AnswerMetrics:
    return text_metrics(question(*answers), answer)


def test_precision_and_recall_are_those_of_the_accepted_answer_with_the_best_f1():
    found = metrics("Otto Hahn of Frankfurt", "Hahn", "Otto Hahn")
    assert (found.precision, found.recall) == (0.5, 1.0)
    assert found.f1 == pytest.approx(2 / 3)
    assert overlap("new york new york", "new york city") == pytest.approx(Overlap(4 / 7, 0.5, 2 / 3))


def test_a_verdict_that_is_not_exact_has_neither_precision_nor_recall():
    found = metrics("yes it is", "yes")
    assert (found.exact_match, found.f1, found.precision, found.recall) == (0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("answer", "gold", "covers"),
    [
        ("It was Otto Hahn.", "Otto Hahn", 1.0),
        ("Hahn, Otto", "Otto Hahn", 0.0),
        ("north", "no", 0.0),
        ("No, it is not", "no", 1.0),
        ("Otto Hahnemann", "Otto Hahn", 0.0),
        ("Otto", "Otto Hahn", 0.0),
        ("Otto Hahn", "The The", 0.0),
        ("the", "The The", 1.0),
    ],
)
def test_an_answer_covers_an_accepted_one_word_for_word(answer, gold, covers):
    assert metrics(answer, gold).cover == covers


def test_a_verdict_counts_however_it_is_put_and_only_where_one_is_asked_for():
    assert metrics("Yes, both are American.", "yes").yes_no == 1.0
    assert metrics("No", "yes").yes_no == 0.0
    assert metrics("true", "yes", "true").yes_no == 1.0
    assert metrics("perhaps", "no").yes_no == 0.0
    assert metrics(None, "no").yes_no == 0.0
    assert metrics("yes", "Otto Hahn").yes_no is None


def test_no_answer_has_no_mark():
    assert metrics(None, "Elbe") == AnswerMetrics(0.0, 0.0, 0.0, 0.0, 0.0)


def test_tasks_that_are_marked_by_accuracy_have_that_alone():
    strategy, mmlu = TASKS["strategyqa"], TASKS["mmlu"]
    assert strategy.metrics(question("no", task="strategyqa"), "No, it sinks.") == AnswerMetrics(1.0, 1.0, yes_no=1.0)
    asked = question("B", "Ulm", task="mmlu", text="Which?\nA. Tarn\nB. Ulm\nC. Zem\nD. Sull")
    assert mmlu.metrics(asked, "Ulm") == AnswerMetrics(1.0, 1.0, choice=1.0)
    assert mmlu.metrics(asked, None) == AnswerMetrics(0.0, 0.0, choice=0.0)


@pytest.mark.parametrize("task", ["almanac", "bamboogle", "hotpotqa", "jsonl", "strategyqa"])
@pytest.mark.parametrize("answer", ["yes", "No.", "the Elbe", "", None])
def test_the_score_that_is_stored_is_part_of_the_marks(task, answer):
    asked = question("yes", "Elbe", task=task)
    assert TASKS[task].metrics(asked, answer).score == TASKS[task].score(asked, answer)


# --- against a statement of the official rules that shares no code with ours ----------------------------


def official_words(text: str) -> list[str]:
    kept = "".join(char for char in text.lower() if char not in string.punctuation)
    return [word for word in re.split(r"\s+", re.sub(r"\b(?:a|an|the)\b", " ", kept)) if word]


def official(answer: str, gold: str) -> tuple[float, float, float, float]:
    """Exact match, F1, precision and recall of hotpot_evaluate_v1.py."""
    a, g = official_words(answer), official_words(gold)
    exact = float(a == g)
    closed = (["yes"], ["no"], ["noanswer"])
    if a != g and (a in closed or g in closed):
        return exact, 0.0, 0.0, 0.0
    left, shared = list(g), 0
    for word in a:
        if word in left:
            left.remove(word)
            shared += 1
    if not shared:
        return exact, 0.0, 0.0, 0.0
    precision, recall = shared / len(a), shared / len(g)
    return exact, 2 * precision * recall / (precision + recall), precision, recall


def assert_official(answer: str, gold: str) -> None:
    found = metrics(answer, gold)
    exact, *others = official(answer, gold)
    assert found.exact_match == exact
    if not official_words(answer) and not official_words(gold):  # the corner that `scoring` names
        assert (found.f1, others[0]) == (1.0, 0.0)
        return
    assert [found.f1, found.precision, found.recall] == pytest.approx(others)


@pytest.mark.slow
def test_the_marks_are_the_official_ones_on_every_answer_of_hotpotqas_dev_set():
    if not HOTPOTQA_DEV.exists():
        pytest.skip("no shared data")
    golds = [row["answer"] for row in json.loads(HOTPOTQA_DEV.read_text(encoding="utf-8"))]
    assert len(golds) == 7405
    for gold, other in zip(golds, golds[1:] + golds[:1], strict=True):
        words = gold.split()
        for answer in (gold, other, f"The {gold}.", words[0], " ".join(words[::-1]), f"{gold} {other}", "yes"):
            assert_official(answer, gold)


WORDS = st.lists(
    st.sampled_from(["yes", "no", "noanswer", "the", "a", "An", "U.S.", "elbe,", "Élan", "1,024", "-", "x"])
)


@given(WORDS, WORDS)
def test_the_marks_are_the_official_ones_on_any_words(answer, gold):
    assert_official(" ".join(answer), " ".join(gold))


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_marks_keep_their_order_and_another_accepted_answer_never_costs_any(answer, gold, another):
    found = metrics(answer, gold)
    assert 0.0 <= found.exact_match <= found.f1 <= 1.0
    assert found.exact_match <= found.cover
    assert min(found.precision, found.recall) <= found.f1 + 1e-12
    assert found.f1 <= max(found.precision, found.recall) + 1e-12
    more = metrics(answer, gold, another)
    assert (more.exact_match, more.f1, more.cover) >= (found.exact_match, 0, 0)
    assert more.f1 >= found.f1
    assert best_score(answer, [another, gold]) == more.score
    assert normalise(normalise(answer)) == normalise(answer)
