"""Encoding a text word by word: the same ids, sooner, and only where they are the same."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

from fireact_ray.rendering import word_cache
from fireact_ray.rendering.plain_text import plain_encoders
from fireact_ray.rendering.word_cache import WordEncoder, is_cut_by_spaces

from . import tokenizers as made

pytestmark = pytest.mark.torch  # transformers

CUT = ["llama2", "llama2_always", "llama2_normalizer", "phi3"]
PLACES = ["start", "control", "text"]
TEXTS = st.lists(
    st.one_of(
        st.sampled_from([" ", "  ", "▁", "\n", "\xa0", "the", "author", "[", "</s>", "<0x41>"]),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=20,
).map("".join)
MERGES = [("▁", "▁"), ("▁▁", "▁"), ("▁", "a"), ("a", "b"), ("b", "b"), ("▁a", "b")]


def bpe(merges=MERGES, **options) -> Tokenizer:
    """Of the characters a, b and the space, with these merges."""
    vocab = {word: number for number, word in enumerate(["<unk>", "a", "b", "▁", *("".join(pair) for pair in merges)])}
    tokenizer = Tokenizer(models.BPE(vocab, list(merges), unk_token="<unk>", fuse_unk=True, **options))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    return tokenizer


def is_cut(tokenizer: Tokenizer, **model) -> bool:
    state = json.loads(tokenizer.to_str())
    state["model"] |= model
    return is_cut_by_spaces(json.dumps(state), ())


@pytest.mark.parametrize("follows", PLACES)
@pytest.mark.parametrize("kind", CUT)
@given(texts=st.lists(TEXTS, max_size=4))
def test_texts_have_the_same_ids_word_by_word(kind, follows, texts):
    hub = made.tokenizer(kind)
    encoder = plain_encoders(made.original(kind).backend_tokenizer.to_str(), hub.control_tokens)[follows]
    assert hub.encode_batch(texts, follows) == [encoder.encode(text, add_special_tokens=False).ids for text in texts]


@given(text=st.text("ab c▁", max_size=12))
def test_runs_of_spaces_stay_together(text):
    tokenizer = bpe()
    by_words = WordEncoder(lambda texts, follows: [tokenizer.encode(one).ids for one in texts])
    assert by_words([text], "text") == [tokenizer.encode(text).ids]


def test_each_word_is_encoded_once_until_too_many_are_known(monkeypatch):
    asked = []

    def lengths(texts, follows):
        asked.append((follows, sorted(texts)))
        return [[len(text)] for text in texts]

    by_words = WordEncoder(lengths)
    assert by_words(["to be or", "not to be"], "start") == [[2, 3, 3], [3, 3, 3]]
    assert by_words(["to be", ""], "start") == [[2, 3], []]
    monkeypatch.setattr(word_cache, "_MAX_CHARS", 1)
    assert by_words(["not to be"], "start") == [[3, 3, 3]]
    texts = [new for follows, new in asked if follows == "text"]
    assert texts == [[" be", " or", " to", "not", "to"], [], [" be", " to", "not"]]


@pytest.mark.parametrize("kind", CUT)
def test_tokenizers_made_from_sentencepiece_are_cut(kind):
    definition = made.original(kind).backend_tokenizer.to_str()
    assert is_cut_by_spaces(definition, made.tokenizer(kind).control_tokens)
    assert is_cut(bpe())


@pytest.mark.parametrize("kind", ["nano", "llama3", "qwen2", "gemma"])
def test_other_tokenizers_are_not(kind):
    definition = made.original(kind).backend_tokenizer.to_str()
    assert not is_cut_by_spaces(definition, made.tokenizer(kind).control_tokens)


@pytest.mark.parametrize("across", [[("a", "▁"), ("a▁", "b")], [("b", "▁")], [("▁", "a"), ("b", "▁a")]])
def test_a_token_that_reaches_over_a_space_forbids_it(across):
    assert not is_cut(bpe(across))


@pytest.mark.parametrize("option", [{"ignore_merges": True}, {"dropout": 0.5}, {"continuing_subword_prefix": "##"}])
def test_a_model_that_is_not_plain_bpe_forbids_it(option):
    assert not is_cut(bpe(), **option)


def test_a_space_that_is_no_token_forbids_it():
    assert not is_cut(bpe([("a", "b")]), vocab={"<unk>": 0, "a": 1, "b": 2, "ab": 4})


@pytest.mark.parametrize("normalizer", [normalizers.NFKC(), normalizers.Strip(), normalizers.Replace("  ", "▁")])
def test_a_normalizer_that_does_more_than_mark_spaces_forbids_it(normalizer):
    tokenizer = bpe()
    tokenizer.normalizer = normalizers.Sequence([normalizer, tokenizer.normalizer])
    assert not is_cut(tokenizer)


def test_a_tokenizer_that_cuts_by_itself_is_left_alone():
    tokenizer = bpe()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(split=True)
    assert not is_cut(tokenizer)


def test_an_added_token_that_is_no_special_one_forbids_it():
    tokenizer = bpe()
    tokenizer.add_tokens([AddedToken("a b", normalized=False)])
    assert not is_cut(tokenizer)
