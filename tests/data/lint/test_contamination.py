import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fireact_ray.data.lint.contamination import QuestionIndex

EVALUATION = ["Which author wrote the novel The Road to Zem in the year 1911?", "Who is older, Ada Moe or Bo?"]

QUESTIONS = st.lists(st.sampled_from(["who", "what", "b", "c", "d", "e", "f", "g"]), max_size=8).map(" ".join)


@pytest.mark.parametrize(
    "asked",
    [
        "Which author wrote the novel The Road to Zem in the year 1911?",
        "which AUTHOR wrote a novel, 'Road to Zem', in the year 1911",
        "Which author wrote the novel The Road to Zem in the year 1911, please?",
    ],
)
def test_the_same_question_is_found_whatever_its_case_and_punctuation_and_a_near_one_too(asked):
    assert QuestionIndex(EVALUATION, 0.9).find(asked) == EVALUATION[0]


@pytest.mark.parametrize(
    "asked", ["Who wrote The Road to Zem?", "Who is older, Ada Moe or Ulm?", "", "Which novel is Zem?"]
)
def test_another_question_is_not(asked):
    assert QuestionIndex(EVALUATION, 0.9).find(asked) is None


def test_at_1_the_words_must_be_the_same():
    index = QuestionIndex(EVALUATION, 1.0)
    assert index.find("Who is older, Bo or Ada Moe?") == EVALUATION[1]
    assert index.find("Who is the older one, Bo or Ada Moe?") is None


@settings(deadline=None)
@given(st.lists(QUESTIONS, max_size=6), QUESTIONS, st.sampled_from([0.3, 0.5, 0.75, 0.9, 1.0]))
def test_the_index_finds_what_comparing_with_all_finds(questions, asked, threshold):
    words = set(asked.split())

    def similarity(question: str) -> float:
        other = set(question.split())
        return len(words & other) / len(words | other) if words else 0.0

    best = max(map(similarity, questions), default=0.0)
    inside = [question for question in questions if question.count(" ") >= 5 and f" {question} " in f" {asked} "]
    found = QuestionIndex(questions, threshold).find(asked)
    assert (found is not None) == (best >= threshold or bool(inside))
    assert found is None or similarity(found) == best or found in inside
