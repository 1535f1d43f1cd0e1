"""The training file of OpenAI's protocol: which turns are learnt, and what a provider would refuse is found here."""

import json

import pytest
from fakes import finished_trajectory

from fireact_ray.core.errors import DataError
from fireact_ray.core.types import Turn
from fireact_ray.data.examples import conversation
from fireact_ray.data.formats.importers import import_trajectories
from fireact_ray.data.formats.openai_ft import training_lines

ASKED, ANSWERED = Turn("user", "Who?"), Turn("assistant", "Thought: é\nAction: finish[Bo]", trained=True)
GOOD = (ASKED, ANSWERED)


def test_a_line_holds_the_turns_as_they_are_trained_and_an_untrained_one_weighs_nothing():
    searched = (Turn("assistant", "Action: search[x]"), Turn("user", "Observation: y"))
    content, n = training_lines([(Turn("system", "s"), ASKED, *searched, ANSWERED)], min_examples=1)
    assert n == 1
    assert "é" in content.decode()
    assert json.loads(content) == {
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": "Who?"},
            {"role": "assistant", "content": "Action: search[x]", "weight": 0},
            {"role": "user", "content": "Observation: y"},
            {"role": "assistant", "content": "Thought: é\nAction: finish[Bo]"},
        ]
    }


def test_the_file_is_read_back_as_the_trajectories_that_it_was_made_of(tmp_path):
    whole = finished_trajectory(steps=finished_trajectory().steps[1:])
    content, _ = training_lines([conversation(whole)] * 10)
    (tmp_path / "f.jsonl").write_bytes(content)
    rows = import_trajectories(tmp_path / "f.jsonl").trajectories
    assert [conversation(row) for row in rows] == [conversation(whole)] * 10


@pytest.mark.parametrize(
    ("turns", "said"),
    [
        ((), "has the roles of nobody"),
        ((ANSWERED,), "has the roles assistant, where user and assistant must alternate"),
        ((ASKED, ASKED, ANSWERED), "has the roles user, user, assistant"),
        ((*GOOD, ASKED), "has the roles user, assistant, user"),
        ((ASKED, Turn("assistant", "x")), "ends with a turn that is not trained"),
        ((Turn("user", " "), ANSWERED), "has an empty turn"),
        ((ASKED, Turn("system", "s"), ANSWERED), "has a system turn behind its first"),
    ],
)
def test_what_a_provider_would_refuse_is_counted_and_the_first_is_named(turns, said):
    with pytest.raises(DataError, match=f"^2 of 12 examples cannot be trained by a provider; example 11 {said}"):
        training_lines([GOOD] * 10 + [turns] * 2)


def test_too_few_examples_and_too_many_bytes_are_refused_with_the_numbers():
    with pytest.raises(DataError, match="has 9 examples, a provider wants at least 10"):
        training_lines([GOOD] * 9)
    size = len(training_lines([GOOD] * 10)[0])
    with pytest.raises(DataError, match=rf"has {size:,} bytes, a provider takes at most {size - 1:,}"):
        training_lines([GOOD] * 10, max_bytes=size - 1)
