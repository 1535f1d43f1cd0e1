"""Which questions a page proposes."""

from fireact_ray.core.types import Question
from fireact_ray.serving.page.offer import Example, examples_of


def questions(*kinds: str) -> list[Question]:
    return [Question("jsonl", f"q{n}", f"{kind} {n}?", (), kind) for n, kind in enumerate(kinds)]


def test_three_kinds_are_shown_by_the_first_question_of_each():
    assert examples_of(questions("1hop", "1hop", "2hop", "3hop", "4hop")) == (
        Example("1hop", "1hop 0?"),
        Example("2hop", "2hop 2?"),
        Example("3hop", "3hop 3?"),
    )


def test_where_there_are_fewer_kinds_more_questions_of_them_are_shown():
    assert [example.text for example in examples_of(questions("a", "a", "a", "b"))] == ["a 0?", "b 3?", "a 1?"]
    assert [example.text for example in examples_of(questions("", ""))] == [" 0?", " 1?"]
    assert examples_of([]) == ()
