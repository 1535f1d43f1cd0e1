"""Tokenizers as renderers see them: plain text stays plain, and has the ids of its place."""

import json

import pytest
from transformers import AutoTokenizer

from fireact_ray.core.errors import InputError
from fireact_ray.rendering.tokenizer import HubTokenizer

from . import tokenizers
from .tokenizers import CHATML, KINDS, with_template

pytestmark = pytest.mark.torch  # transformers

LINE = "Thought: I look.\nAction: search[Zem]"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", [LINE, " a  b", "\n\nObservation: x", "Größe 中文 🙂"])
def test_a_text_after_other_text_has_the_ids_that_it_has_there(kind, text):
    tokenizer = tokenizers.tokenizer(kind)
    before = "in the city]"
    whole = tokenizers.original(kind).encode(before + text, add_special_tokens=False)
    assert tokenizer.encode(before) + tokenizer.encode(text, "text") == whole


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_after_a_special_token_has_the_ids_that_it_has_there(kind):
    tokenizer, original = tokenizers.tokenizer(kind), tokenizers.original(kind)
    whole = original.encode(original.eos_token + LINE, add_special_tokens=False)
    assert [tokenizer.eos_id, *tokenizer.encode(LINE, "control")] == whole


@pytest.mark.parametrize(("kind", "n_spaces"), [("llama2", 0), ("llama2_always", 1), ("llama2_normalizer", 1)])
def test_only_some_tokenizers_put_a_space_behind_special_tokens(kind, n_spaces):
    tokenizer = tokenizers.tokenizer(kind)
    assert len(tokenizer.show([tokenizer.eos_id, *tokenizer.encode("x", "control")])) == len("</s>x") + n_spaces
    assert tokenizer.encode("x") != tokenizer.encode("x", "text")


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_in_texts_are_spelt_out(kind):
    tokenizer = tokenizers.tokenizer(kind)
    text = " ".join(tokenizer.control_tokens)
    ids = tokenizer.encode(text)
    assert not set(ids) & set(tokenizer.control_tokens.values())
    assert tokenizer.decode(ids) == text


def test_added_tokens_that_the_template_writes_are_special_others_are_not():
    assert "<tool_call>" in tokenizers.tokenizer("qwen2").control_tokens
    assert "<think>" not in tokenizers.tokenizer("qwen2").control_tokens
    assert "<tool_call>" not in with_template("qwen2", None).control_tokens
    assert "\n\n" not in tokenizers.tokenizer("gemma").control_tokens


def test_spaces_that_belong_to_a_special_token_are_no_text():
    tokenizer = tokenizers.tokenizer("phi3")
    user = tokenizer.control_tokens["<|user|>"]
    assert tokenizer.split("a <|user|>\n b<s>\n") == ["a ", user, "b", tokenizer.bos_id, "\n"]


def test_generated_ids_come_apart_at_special_tokens():
    tokenizer = tokenizers.tokenizer("llama3")
    end, a, b = tokenizer.control_tokens["<|eot_id|>"], tokenizer.encode("a <|eot_id|>"), tokenizer.encode("b")
    assert tokenizer.take_apart([*a, end, *b]) == ["a <|eot_id|>", end, "b"]
    assert tokenizer.take_apart([end, end, *b, end]) == [end, end, "b", end]
    assert tokenizer.take_apart([]) == []


@pytest.mark.parametrize("kind", ["llama2", "llama3", "qwen2", "gemma"])
def test_a_saved_tokenizer_is_the_same(kind, tmp_path):
    tokenizers.original(kind).save_pretrained(tmp_path)
    loaded = HubTokenizer.load(str(tmp_path))
    assert loaded.fingerprint == tokenizers.tokenizer(kind).fingerprint
    assert loaded.encode(LINE, "text") == tokenizers.tokenizer(kind).encode(LINE, "text")


@pytest.mark.parametrize("kind", ["nano", "llama2", "qwen2"])
@pytest.mark.parametrize("model", [None, {"model_type": "llama"}, {"model_type": "qwen2"}])
@pytest.mark.parametrize("named", [{}, {"tokenizer_class": "TokenizersBackend"}, {"tokenizer_class": "X"}])
def test_a_tokenizer_is_of_the_class_that_transformers_chooses(kind, model, named, tmp_path):
    tokenizers.original(kind).save_pretrained(tmp_path)
    if model is not None:
        (tmp_path / "config.json").write_text(json.dumps(model))
    about = tmp_path / "tokenizer_config.json"
    about.write_text(json.dumps({**json.loads(about.read_text()), **named}))
    try:
        chosen = type(AutoTokenizer.from_pretrained(tmp_path))
    except (OSError, ValueError):
        with pytest.raises(InputError):
            HubTokenizer.load(str(tmp_path))
    else:
        assert type(HubTokenizer.load(str(tmp_path))._tokenizer) is chosen


def test_equal_vocabularies_that_give_other_ids_have_other_fingerprints():
    prints = {tokenizers.tokenizer(kind).fingerprint for kind in ("llama2", "llama2_always")}
    assert len(prints) == 2
    assert with_template("qwen2", CHATML).fingerprint == tokenizers.tokenizer("qwen2").fingerprint


def test_a_folder_without_a_tokenizer_is_named(tmp_path):
    with pytest.raises(InputError, match="holds no tokenizer"):
        HubTokenizer.load(str(tmp_path))
