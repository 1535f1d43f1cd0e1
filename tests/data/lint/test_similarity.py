import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fireact_ray.data.lint.similarity import banding, jaccard, near_duplicates, shingles

WORDS = st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=0, max_size=9).map(" ".join)


def by_comparing_all(texts: list[str], threshold: float) -> dict[int, float]:
    """Places that are not kept, with the greatest similarity to a kept one before."""
    kept: list[int] = []
    dropped = {}
    sets = [shingles(text) for text in texts]
    for place, one in enumerate(sets):
        best = max((jaccard(sets[other], one) for other in kept), default=0.0)
        if best >= threshold:
            dropped[place] = best
        else:
            kept.append(place)
    return dropped


def perturbed(rng: random.Random, text: str, n_changes: int) -> str:
    words = text.split()
    for place in rng.sample(range(len(words)), n_changes):
        words[place] = f"x{rng.randrange(10**6)}"
    return " ".join(words)


def test_what_is_found_equals_comparing_all_with_all():
    rng = random.Random(0)
    bases = [" ".join(f"w{rng.randrange(500)}" for _ in range(120)) for _ in range(20)]
    texts = [perturbed(rng, rng.choice(bases), rng.randrange(4)) for _ in range(300)]
    assert set(near_duplicates(texts, 0.8)) == set(by_comparing_all(texts, 0.8))
    assert 200 < len(near_duplicates(texts, 0.8)) < 280


@settings(deadline=None)
@given(st.lists(WORDS, max_size=12))
def test_each_find_is_like_a_kept_text_before_it(texts):
    found = near_duplicates(texts, 0.6)
    for place, earlier in found.items():
        assert earlier < place
        assert earlier not in found
        assert jaccard(shingles(texts[earlier]), shingles(texts[place])) >= 0.6


@settings(deadline=None)
@given(st.lists(WORDS, max_size=8))
def test_at_1_exactly_the_texts_with_the_same_runs_of_words_are_found(texts):
    assert set(near_duplicates(texts, 1.0)) == set(by_comparing_all(texts, 1.0))


def test_the_earliest_text_is_the_one_that_is_kept():
    text = "the lake of tarn lies in the far north of the land"
    assert near_duplicates([text, "another text altogether, you see", text, text.upper() + "!"], 0.8) == {2: 0, 3: 0}


@pytest.mark.parametrize(("threshold", "expected"), [(0.5, (42, 3)), (0.8, (21, 6)), (0.9, (12, 10)), (1.0, (2, 64))])
def test_bands_leave_a_pair_at_the_threshold_a_chance_of_99_percent(threshold, expected):
    n_bands, n_rows = expected
    assert banding(threshold) == expected
    assert 1 - (1 - threshold**n_rows) ** n_bands >= 0.99


def test_shingles_are_the_same_in_every_process():
    assert shingles("The Road to Zem").tolist() == sorted(shingles("the road, to ZEM").tolist())
    assert shingles("").dtype == np.uint32
    assert shingles("a b c").tolist() == [2771493100]
