"""The local index: exact about what it finds, the same from build to build, built once, never half."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fireact_ray.agent.tools.corpus import read_corpus
from fireact_ray.agent.tools.index import build_index
from fireact_ray.core.errors import InputError
from fireact_ray.core.types import Hit

LAKES = [
    Hit("Orr", "A deep lake in Zem, the deepest of all lakes."),
    Hit("Zem", "A country of lakes, Orr among them."),
    Hit("Ila Dun", "She wrote about fishing."),
    Hit("झील", "झील की गहराई"),
    Hit("broken \ud800", "lone \udfff surrogate"),
]


def unread():
    raise AssertionError("the corpus is read again")
    yield


@pytest.fixture(scope="module")
def lakes(tmp_path_factory):
    return build_index(LAKES, tmp_path_factory.mktemp("lakes"), "lakes")


def titles(index, query, k=5):
    return [hit.title for hit in index.search_now(query, k)]


async def test_a_hit_is_the_whole_passage_with_its_score(lakes):
    (hit,) = await lakes.search("Who went FISHING?", 5)
    assert (hit.title, hit.text) == ("Ila Dun", "She wrote about fishing.")
    assert hit.score > 0


def test_a_word_in_the_title_weighs_more_and_inflected_words_match(lakes):
    assert titles(lakes, "Orr") == ["Orr", "Zem"]
    assert titles(lakes, "fished") == ["Ila Dun"]


def test_words_of_any_script_are_found_as_they_were_indexed(lakes):
    assert titles(lakes, "गहराई") == ["झील"]


def test_lone_surrogates_are_replaced(lakes):
    assert lakes.search_now("surrogate\ud800", 5)[0].text == "lone ? surrogate"


@pytest.mark.parametrize("query", ["", " \n", "?!", "nowhere", '"', "title:", "AND OR NOT", "\ud800", "\x00"])
def test_a_query_without_a_known_word_finds_nothing(lakes, query):
    assert lakes.search_now(query, 5) == []


@pytest.mark.parametrize(("k", "n"), [(0, 0), (1, 1), (2, 2), (3, 2)])
def test_at_most_k_hits_are_given_best_first(lakes, k, n):
    hits = lakes.search_now("lakes of Zem", k)
    assert len(hits) == n
    assert sorted(hits, key=lambda hit: -hit.score) == hits


@settings(deadline=None)
@given(st.text(st.characters(), max_size=60), st.integers(1, 9))
def test_any_query_finds_at_most_k_passages(lakes, query, k):
    assert len(lakes.search_now(query, k)) <= k
    assert lakes.search_now(f"{query} lake", k)


def test_words_after_the_first_thousand_characters_are_not_searched(lakes):
    assert titles(lakes, "x " * 490 + "fishing") == ["Ila Dun"]
    assert titles(lakes, "x " * 500 + "fishing") == []


def test_a_passage_holds_one_of_the_rarer_words_and_common_ones_order_it(tmp_path):
    passages = [Hit(f"p{i}", "common " * 30 + ("rare other other" if i % 30 == 0 else "")) for i in range(6000)]
    passages += [Hit("both", "rare common"), Hit("short", "common")]
    index = build_index(passages, tmp_path, "common")
    hits = index.search_now("the rare common", 300)
    assert hits[0].title == "both"
    assert len(hits) == 201  # the 200 and "both"; "short" is about the common word only
    assert len(index.search_now("common", 3)) == 3


def test_a_misspelt_word_does_not_decide_alone(tmp_path):
    passages = [Hit("", "misspelt")] + [Hit(f"{i}", "barack obama " + "x " * (i % 7)) for i in range(3000)]
    index = build_index(passages, tmp_path, "misspelt")
    assert len(index.search_now("misspelt barack", 10)) == 10


def test_an_empty_corpus_finds_nothing(tmp_path):
    assert build_index([], tmp_path, "empty").search_now("lake", 5) == []


def test_an_index_is_opened_again_without_reading_the_corpus(tmp_path):
    first = build_index(LAKES, tmp_path, "lakes")
    again = build_index(unread(), tmp_path, "lakes")
    assert again.fingerprint == first.fingerprint
    assert again.search_now("deep lakes", 5) == first.search_now("deep lakes", 5)


def test_another_corpus_gets_another_index(tmp_path):
    old = build_index(LAKES, tmp_path, "old")
    new = build_index([Hit("New", "A lake.")], tmp_path, "new")
    assert titles(new, "lakes") == ["New"]
    assert new.fingerprint != old.fingerprint


def test_a_bad_row_stops_the_build_and_leaves_nothing(tmp_path):
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text('{"text": "good"}\n' * 1000 + "bad\n")
    with pytest.raises(InputError, match=r"corpus.jsonl, line 1001"):
        build_index(read_corpus(corpus), tmp_path / "cache", "bad")
    assert list((tmp_path / "cache").iterdir()) == []
