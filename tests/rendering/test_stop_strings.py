"""Where replies end, found as fast as it can be, against looking at the whole text after each token."""

import random

import pytest

from fireact_ray.agent.models.engines.stopping import StopStrings

from . import tokenizers

pytestmark = pytest.mark.torch

PIECES = [
    "Observation:",
    "\nObservation:",
    ":",
    ": ",
    "Obs",
    "ervation",
    " é",
    "日本",
    "🙂",
    "\n\n",
    " ",
    "x: y",
    "Observation: the city",
    "</s>",
    "end",
]
STOPS = [("\nObservation:",), ("Observation: ",), ("end", "never"), ("日本", "🙂"), ("\n\n", " x"), ("é", ":")]


@pytest.mark.parametrize("kind", ["nano", "llama2", "llama3", "qwen2_coder"])
def test_a_stop_string_is_found_at_the_token_that_completes_it(kind: str):
    tokenizer, draw, n_found = tokenizers.tokenizer(kind), random.Random(0), 0
    for stop in STOPS:
        stops = StopStrings(stop, tokenizer.decode)
        for _ in range(40):
            ids = tokenizer.encode("".join(draw.choices(PIECES, k=8)))
            texts = [tokenizer.decode(ids[:n]) for n in range(1, len(ids) + 1)]
            expected = next((n for n, text in enumerate(texts, 1) if any(one in text for one in stop)), None)
            found = next((n for n in range(1, len(ids) + 1) if stops.completed_by(ids[:n])), None)
            assert found == expected, (stop, texts[-1])
            n_found += found is not None
    assert n_found > 50  # of 240


def test_without_stop_strings_nothing_is_decoded():
    stops = StopStrings((), lambda ids: 1 / 0)
    assert not stops
    assert not stops.completed_by([1])
