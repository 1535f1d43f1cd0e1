import itertools
import re

import pytest

from fireact_ray.demo.nano import stream
from fireact_ray.demo.nano.scenes import banned_words
from fireact_ray.tasks.almanac.world import world

pytestmark = pytest.mark.torch


def test_base_text_holds_no_word_of_the_almanacs_worlds() -> None:
    words = {w for text in itertools.islice(stream.texts(seed=3), 3000) for w in re.findall(r"[A-Z][a-z]+", text)}
    almanac = {word for split in ("train", "dev", "test") for word in world(split).words}
    assert len(words) > 5000
    assert not words & almanac
    assert not words & banned_words()


def test_the_agents_own_format_is_not_in_the_base_text() -> None:
    for text in itertools.islice(stream.texts(seed=4), 3000):
        assert not ("Thought:" in text and "Action:" in text and "Observation:" in text)


def test_the_same_seed_gives_the_same_text() -> None:
    first, second = (list(itertools.islice(stream.texts(seed=5), 20)) for _ in range(2))
    assert first == second
    assert first != list(itertools.islice(stream.texts(seed=6), 20))


def test_no_document_holds_an_empty_piece_or_ends_a_turn_that_is_not_its_own() -> None:
    for document, _ in itertools.islice(stream.documents(seed=7), 500):
        assert document
        assert all(piece.text for piece in document)
        assert not any(piece.given and piece.ends_turn for piece in document)


def test_sums_are_learned_from_but_a_first_name_is_not() -> None:
    words, seen = frozenset({"Zembra"}), set[str]()
    assert stream._first_mentions("Zembra: 9+9=18. Zembra 1942", words, seen) == [(0, 6), (23, 27)]
    assert stream._first_mentions("Zembras 1942 1943", words, seen) == [(13, 17)]
