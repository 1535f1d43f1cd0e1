from dataclasses import replace

import pytest

from fireact_ray.core.errors import DataError
from fireact_ray.core.types import Action, Observation, Question, Score, Step, StopReason, Trajectory, Turn
from fireact_ray.data.examples import to_example

STEPS = (
    Step("I look.", Action("search", "Lake Tarn"), Observation("It is 410 m deep."), "as received"),
    Step("Done.", Action("finish", "410 m"), None, "as received"),
)
GOOD = Trajectory(
    "key",
    Question("jsonl", "q", "How deep is Tarn?", ("410 m",)),
    "reflexion",
    "m",
    0,
    STEPS,
    StopReason.FINISHED,
    Score(1.0, 1.0),
)


def test_replies_are_trained_and_everything_else_is_context():
    assert to_example(GOOD) == (
        Turn("user", "How deep is Tarn?"),
        Turn("assistant", "Thought: I look.\nAction: search[Lake Tarn]", trained=True),
        Turn("user", "Observation: It is 410 m deep."),
        Turn("assistant", "Thought: Done.\nAction: finish[410 m]", trained=True),
    )


@pytest.mark.parametrize("method", ["io", "cot", "react", "reflexion"])
def test_all_methods_are_rendered_in_one_grammar(method):
    assert to_example(replace(GOOD, method=method)) == to_example(GOOD)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score": Score(0.0, 0.9)}, "its answer is wrong"),
        ({"stop_reason": StopReason.MAX_STEPS, "steps": STEPS[:1]}, "it has no answer"),
        ({"steps": (replace(STEPS[0], action=None), STEPS[1])}, "a reply holds no usable action"),
        ({"steps": (STEPS[0], replace(STEPS[1], action=Action("finish", "x, reward = True")))}, "names its method or"),
    ],
)
def test_what_must_never_be_trained_on_is_refused(change, message):
    with pytest.raises(DataError, match=message):
        to_example(replace(GOOD, **change))


def test_a_lower_bound_on_f1_admits_what_is_nearly_right_and_nothing_else():
    nearly = replace(GOOD, score=Score(0.0, 0.8))
    assert to_example(nearly, min_f1=0.8) == to_example(GOOD)
    with pytest.raises(DataError, match="its answer is wrong"):
        to_example(nearly, min_f1=0.81)


def test_a_question_without_a_known_answer_can_be_an_example():
    assert to_example(replace(GOOD, score=None)) == to_example(GOOD)


REFLECTED = (
    "Now that I haven't solved the task within 5 steps, let me do a reflection and think about how to improve. "
    "Tarn is a lake. I should ask for its depth within the 5-step limit. I ask for the depth."
)


def test_sentences_that_name_the_method_are_taken_out_of_thoughts_and_the_rest_stays():
    reflected = replace(GOOD, steps=(replace(STEPS[0], thought=REFLECTED), STEPS[1]))
    assert to_example(reflected)[1].content == (
        "Thought: Tarn is a lake. I ask for the depth.\nAction: search[Lake Tarn]"
    )


def test_a_thought_of_nothing_but_method_leaves_the_action():
    wrapped = "Now that I haven't solved the task within 9 steps, I need to wrap up and finish this task."
    finished = replace(GOOD, steps=(STEPS[0], replace(STEPS[1], thought=wrapped)))
    assert to_example(finished)[-1].content == "Action: finish[410 m]"


@pytest.mark.parametrize(
    "text",
    [
        "The reward = 5 dollars was paid to Ada Moe.",
        "The episode finished with a duel.",
        "A reflection of the lake.",
        "The boxer has not lost within 5 rounds.",
    ],
)
def test_a_page_that_speaks_of_rewards_or_reflections_is_no_trace(text):
    shown = replace(GOOD, steps=(replace(STEPS[0], observation=Observation(f"See: {text}")), STEPS[1]))
    assert to_example(shown)[2].content == f"Observation: See: {text}"
