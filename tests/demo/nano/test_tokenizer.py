import itertools
import random

import pytest

from fireact_ray.core import grammar
from fireact_ray.core.paths import NANO_DIR
from fireact_ray.core.types import Action
from fireact_ray.demo.nano import stream
from fireact_ray.rendering.tokenizer import HubTokenizer
from fireact_ray.tasks.almanac import ALMANAC, corpus

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def tokenizer() -> HubTokenizer:
    return HubTokenizer.load(str(NANO_DIR))


def test_text_in_the_grammar_survives_encoding_and_decoding(tokenizer: HubTokenizer) -> None:
    questions = random.Random(0).sample(ALMANAC.load(None, "test"), 50)
    passages = random.Random(0).sample(corpus(), 50)
    for question, passage in zip(questions, passages, strict=True):
        reply = grammar.render(f"I need {passage.title}.", Action("search", f"{passage.title} x"))
        text = f"Question: {question.text}\n{reply}\nObservation: {passage.text}\n"
        assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize(
    "text",
    ["search[Name x]", "finish[a [b] c]", "search[[x]]", "Größe 中文 ½", "a  b\n\nc ", "<eos> <pad>", "3+4="],
)
def test_odd_text_survives_encoding_and_decoding(tokenizer: HubTokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_a_name_has_the_same_tokens_behind_a_bracket_as_behind_a_space(tokenizer: HubTokenizer) -> None:
    for passage in corpus()[::200]:
        name = tokenizer.encode(f" {passage.title}")
        for before in ("Action: search[", "Action: finish[", "directed by "):
            assert tokenizer.encode(f"{before}{passage.title}")[-len(name) :] == name


def test_digits_are_tokens_of_their_own(tokenizer: HubTokenizer) -> None:
    assert [tokenizer.decode([i]) for i in tokenizer.encode("1947")] == ["1", "9", "4", "7"]


def test_text_that_spells_an_end_token_does_not_end_anything(tokenizer: HubTokenizer) -> None:
    assert tokenizer.eos_id not in tokenizer.encode("<eos>")


def test_an_almanac_question_takes_few_tokens(tokenizer: HubTokenizer) -> None:
    questions = list(itertools.islice(ALMANAC.load(None, "test"), 200))
    assert sum(len(tokenizer.encode(q.text)) for q in questions) / len(questions) < 22


def test_the_base_text_itself_survives(tokenizer: HubTokenizer) -> None:
    for text in itertools.islice(stream.texts(seed=9), 50):
        assert tokenizer.decode(tokenizer.encode(text)) == text
