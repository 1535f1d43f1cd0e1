"""The example that a newcomer reads first does what it says."""

import re
import runpy
from pathlib import Path

import pytest

pytestmark = pytest.mark.torch

EXAMPLE = Path(__file__).parents[2] / "examples" / "minimal.py"


def test_one_question_becomes_a_row_and_a_step_that_lowers_the_loss(capsys):
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    answered, tokens, before, after = capsys.readouterr().out.splitlines()
    assert "finished" in answered
    n_tokens, n_trained = map(int, re.findall(r"\d+", tokens)[:2])
    assert 0 < n_trained < n_tokens
    losses = [float(re.search(r"[\d.]+", line)[0]) for line in (before, after)]
    assert losses[1] < losses[0]
