import pytest

from fireact_ray.tasks.naming import task_named, task_said, task_shown


@pytest.mark.parametrize(
    ("text", "task"),
    [
        ("hotpotqa", "hotpotqa"),
        ("hotpot_qa", "hotpotqa"),
        ("HotpotQA (distractor)", "hotpotqa"),
        ("hotpotqa_dev_0_500_llama_0.7.json", "hotpotqa"),
        ("StrategyQA", "strategyqa"),
        ("strategy-qa", "strategyqa"),
        ("searchR1_bamboogle", "bamboogle"),
        ("cais/mmlu", "mmlu"),
        ("multitask.json", None),
        ("2wikimultihopqa", None),
        ("hotpotqa+strategyqa", None),
        ("", None),
    ],
)
def test_a_task_is_known_by_its_name_however_it_is_written(text, task):
    assert task_named(text) == task


def test_a_row_says_its_task_under_one_of_several_names():
    assert task_said({"data_source": "hotpot_qa", "question": "?"}) == ("hotpotqa", "data_source")
    assert task_said({"task": "qa", "dataset": "MMLU"}) == ("mmlu", "dataset")
    assert task_said({"task": 3, "about": "mmlu"}) is None


FOUR = "Question: Which floats?\nA. lead\nB. cork\nC. iron\nD. gold"


@pytest.mark.parametrize(
    ("question", "answer", "task"),
    [
        (FOUR, "B", "mmlu"),
        (FOUR, "(b).", "mmlu"),
        (FOUR.replace(". ", ") "), "B", "mmlu"),
        (FOUR, "cork", None),  # answered by its text: the letter is not known
        (FOUR, None, None),
        (FOUR + "\nE. zinc", "B", None),
        ("Which floats?\nA. lead\nB. cork", "B", None),
        ("Is cork lighter than lead?", "yes", None),  # HotpotQA's as well as StrategyQA's
        ("Which vitamin?", "B", None),
    ],
)
def test_four_lettered_choices_and_a_letter_show_mmlu_and_nothing_else_shows_a_task(question, answer, task):
    assert task_shown(question, answer) == task
