"""What a method or a recorder leaves in a text is found, however it is written, and nothing else is."""

import pytest

from fireact_ray.data.leakage import names_method, names_reward, plain_thought

METHOD = [
    "Now let me do a reflection.",
    "I haven't solved the task within 5 steps.",
    "I have not solved the task within 12 steps.",
    "I need to wrap up and finish this task in the next step.",
    "I finish this task in the next step.",
    "There is a 5-step limit.",
    "Reflect: the question is still open after 3 steps.",
    "As a ReAct agent I search.",
    "By the Reflexion method.",
    "In chain-of-thought format.",
    "In chain of thought prompt style.",
]


@pytest.mark.parametrize("change", [str, str.upper, str.lower])
@pytest.mark.parametrize("sentence", METHOD)
def test_every_way_to_name_a_method_is_found(sentence, change):
    assert names_method(change(sentence))
    assert plain_thought(f"I look. {change(sentence)}") == "I look."


@pytest.mark.parametrize("text", ["Episode finished, reward = True", "EPISODE FINISHED", "reward=0.5", "Reward = -1"])
def test_every_way_to_name_a_reward_is_found(text):
    assert names_reward(text)


@pytest.mark.parametrize("text", ["A speed limit is a task.", "They react to a reward.", "A chain of lakes."])
def test_words_alone_are_no_trace(text):
    assert not names_method(text)
    assert not names_reward(text)
    assert plain_thought(text) == text
