"""The fewest prompt tokens that an engine can read."""

from benchmarks.prompt_tokens import fewest

INSTRUCTIONS = [1, 2, 3, 4]


def test_shared_instructions_count_once_and_what_the_model_wrote_never():
    first = ([*INSTRUCTIONS, 10], [20, 21])
    assert fewest([first]) == 5
    assert fewest([first, ([*INSTRUCTIONS, 11], [22])]) == 6
    assert fewest([first, ([*INSTRUCTIONS, 10, 20, 21, 30, 31], [23])]) == 5 + 2  # the observation
    assert fewest([first, first]) == 5
    assert fewest([([5], []), ([6], []), ([5, 6], [])]) == 3
