"""The bundled encyclopedia: its worlds, articles that can be read back, questions with right answers."""

import re
from collections import Counter

import pytest

from fireact_ray.agent.tools.index import IndexBackend, build_index
from fireact_ray.core.errors import InputError
from fireact_ray.data.lint.contamination import QuestionIndex
from fireact_ray.tasks.almanac import ALMANAC, corpus, corpus_fingerprint
from fireact_ray.tasks.almanac.names import PRONOUNS
from fireact_ray.tasks.almanac.questions import opened, unopened
from fireact_ray.tasks.almanac.reading import read_fact, read_facts
from fireact_ray.tasks.almanac.relations import KINDS, METRES, RELATIONS, YEAR
from fireact_ray.tasks.almanac.traps import ALIASES, SHARED_TITLES
from fireact_ray.tasks.almanac.world import SPLITS, world

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> IndexBackend:
    return build_index(corpus(), tmp_path_factory.mktemp("index"), corpus_fingerprint())


def first_hit(index: IndexBackend, query: str) -> str:
    hit = index.search_now(query, 1)[0]
    return hit.text if hit.title in hit.text else f"{hit.title}: {hit.text}"


def test_the_encyclopedia_is_the_same_in_every_process_and_version() -> None:
    # The nano model that ships with the package has learnt this wording: change both or neither.
    assert corpus_fingerprint() == "625dace522f80a2d"
    assert len(corpus()) == 14214


def test_worlds_hold_thousands_of_entities_and_share_no_entity_and_no_invented_word() -> None:
    entities = {s: {n for names in world(s).entities.values() for n in names} for s in SPLITS}
    assert {split: len(names) for split, names in entities.items()} == {
        "train": 1870,
        "dev": 841,
        "test": 841,
    }
    for a, b in (("train", "dev"), ("train", "test"), ("dev", "test")):
        assert not entities[a] & entities[b]
        assert not world(a).words & world(b).words


def test_every_entity_has_an_article_that_links_it_to_others() -> None:
    titles = {passage.title.split(" (")[0] for passage in corpus()}
    for split in SPLITS:
        for kind in KINDS:
            assert set(world(split).entities[kind]) <= titles
    assert all(any(r.object in KINDS for r in RELATIONS.values() if r.subject == kind) for kind in KINDS)


def test_passages_are_short() -> None:
    lengths = [len(passage.text.split()) for passage in corpus()]
    assert max(lengths) == 12
    assert sum(lengths) / len(lengths) < 8


@pytest.mark.parametrize("name", RELATIONS)
def test_every_wording_parses_back(name: str) -> None:
    relation = RELATIONS[name]
    value = {YEAR: "1931", METRES: "870"}.get(relation.object, "Lake Tor Mel")
    for wording in (*relation.wordings, relation.rare):
        if wording:
            sentence = wording.format(s="Ila Dun", o=value, x="quiet")
            assert read_facts(sentence) == {(name, "Ila Dun"): value}
        if wording.startswith("{s} "):
            for pronoun in PRONOUNS:
                sentence = f"Ila Dun (film): {wording.format(s=pronoun, o=value, x='quiet')}"
                assert read_facts(sentence) == {(name, "Ila Dun"): value}


@pytest.mark.parametrize("name", ALIASES)
def test_every_wording_of_an_alias_parses_back(name: str) -> None:
    for wording in ALIASES[name].wordings:
        assert read_facts(wording.format(s="Ila Dun", o="Mor Kesh")) == {(name, "Ila Dun"): "Mor Kesh"}


def test_facts_are_read_from_several_results_in_one_line() -> None:
    text = "Zem: It has a busy harbour. It is a city in Oru. Red Orrin (film): It came out in 1930. Zem fell."
    assert read_facts(text) == {("country", "Zem"): "Oru", ("release_year", "Red Orrin"): "1930"}
    assert read_fact("country", "Oru", text) is None


def test_the_corpus_states_every_fact() -> None:
    facts: dict[tuple[str, str], str] = {}
    for passage in corpus():
        facts.update(read_facts(f"{passage.title}: {passage.text}"))
    for split in SPLITS:
        assert world(split).facts.items() <= facts.items()


@pytest.mark.parametrize(("split", "n"), [("train", 6000), ("dev", 1500), ("test", 1500)])
def test_questions_come_in_the_documented_mix_without_repetition(split: str, n: int) -> None:
    questions = ALMANAC.load(None, split)
    assert len({question.text for question in questions}) == n
    assert questions[7].id == f"almanac-{split}-0007"
    for start in range(0, n, 50):
        assert Counter(question.kind for question in questions[start : start + 50]) == {
            "1hop": 9, "2hop": 12, "3hop": 6, "comparison": 8, "yesno": 6, "sum": 4, "trap": 5,
        }  # fmt: skip


def test_no_question_is_in_two_splits() -> None:
    train, dev, test = ({q.text for q in ALMANAC.load(None, split)} for split in SPLITS)
    assert not train & dev and not train & test and not dev & test


def terms_of(question: str) -> list[int]:
    return [int(term) for term in re.findall(r"\d+", question)]


def sums(split: str) -> list[str]:
    return [question.text for question in ALMANAC.load(None, split) if question.kind == "sum"]


def additions(asked: list[str]) -> set[tuple[int, int]]:
    """(what is there, what is added) of every step."""
    found = set()
    for text in asked:
        so_far, *terms = terms_of(text)
        for term in terms:
            found.add((so_far, term))
            so_far += term
    return found


@pytest.mark.parametrize("split", ["dev", "test"])
def test_training_sums_that_are_not_too_like_the_asked_ones_hold_the_additions_that_these_end_with(split: str) -> None:
    train, asked = sums("train"), sums(split)
    index = QuestionIndex(asked, 0.9)
    missing = additions(asked) - additions([text for text in train if not index.find(text)])
    assert not [step for step in missing if step[0] > 9]
    assert sum(terms_of(text)[0] > 9 for text in train) == 240


def test_no_two_splits_share_a_sum_in_whatever_order() -> None:
    train, dev, test = ({tuple(sorted(terms_of(text))) for text in sums(split)} for split in SPLITS)
    assert not train & dev and not train & test and not dev & test


@pytest.mark.parametrize("split", SPLITS)
def test_half_of_the_questions_of_each_kind_begin_with_tell_me(split: str) -> None:
    by_kind: dict[str, list[bool]] = {}
    for question in ALMANAC.load(None, split):
        by_kind.setdefault(question.kind, []).append(question.text.startswith("Tell me, "))
    assert {kind: 0.35 < sum(found) / len(found) < 0.65 for kind, found in by_kind.items()} == dict.fromkeys(
        by_kind, True
    )


def test_what_is_asked_is_the_same_with_and_without_tell_me() -> None:
    assert opened("Who wrote Red Orrin?") == "Tell me, who wrote Red Orrin?"
    assert unopened("Tell me, who wrote Red Orrin?") == unopened("Who wrote Red Orrin?") == "Who wrote Red Orrin?"
    assert unopened("who wrote Red Orrin?") == "who wrote Red Orrin?"


@pytest.mark.parametrize("split", SPLITS)
def test_half_of_the_yes_or_no_answers_are_yes(split: str) -> None:
    answers = [question.answers for question in ALMANAC.load(None, split) if question.kind == "yesno"]
    assert Counter(answers) == {("yes",): len(answers) // 2, ("no",): len(answers) // 2}
    assert Counter(answers[:60]) == {("yes",): 30, ("no",): 30}


def test_an_unknown_split_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"no split 'validation'. Known: train, dev, test."):
        ALMANAC.load(None, "validation")


def test_loading_hands_out_a_fresh_list() -> None:
    ALMANAC.load(None, "dev").clear()
    assert len(ALMANAC.load(None, "dev")) == 1500


def test_answers_are_marked_exactly() -> None:
    yes_or_no = next(q for q in ALMANAC.load(None, "dev") if q.answers == ("yes",))
    a_sum = next(q for q in ALMANAC.load(None, "dev") if q.kind == "sum")
    assert ALMANAC.score(yes_or_no, "Yes.").exact_match == 1
    assert ALMANAC.score(yes_or_no, "yes they were").f1 == 0
    assert ALMANAC.score(a_sum, a_sum.answers[0] + "0").exact_match == 0


@pytest.mark.parametrize("name", RELATIONS)
def test_a_good_keyword_finds_each_fact(name: str, index: IndexBackend) -> None:
    dev = world("dev")
    for (relation, subject), value in dev.facts.items():
        if relation == name and subject not in dev.shared_titles:
            found = [first_hit(index, f"{subject} {keyword}") for keyword in RELATIONS[name].keywords]
            assert value in [read_fact(name, subject, text) for text in found]


@pytest.mark.parametrize("name", SHARED_TITLES)
def test_obvious_words_never_get_past_a_shared_title_but_its_own_query_does(name: str, index: IndexBackend) -> None:
    test = world("test")
    for title in test.shared_titles:
        for keyword in RELATIONS[name].keywords:
            assert read_fact(name, title, first_hit(index, f"{title} {keyword}")) is None
        found = first_hit(index, SHARED_TITLES[name].query.format(e=title))
        assert read_fact(name, title, found) == test.facts[name, title]


@pytest.mark.parametrize("name", ALIASES)
def test_obvious_words_say_nothing_about_an_alias_but_its_own_query_resolves_it(name: str, index: IndexBackend) -> None:
    alias = ALIASES[name]
    keywords = [k for r in RELATIONS.values() if r.subject == alias.subject for k in r.keywords]
    for nickname, (kind, entity) in world("dev").aliases.items():
        if kind == name:
            misled = [read_facts(first_hit(index, f"{nickname} {keyword}")) for keyword in keywords]
            assert not any((name, entity) in facts for facts in misled)
            found = first_hit(index, alias.query.format(e=nickname))
            assert read_fact(name, entity, found) == nickname
