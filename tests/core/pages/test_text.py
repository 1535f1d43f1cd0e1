"""Texts of anybody, made safe to look at."""

import pytest
from hostile import HOSTILE

from fireact_ray.core.pages.text import Texts, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, Größe 中文 🙂", "plain, Größe 中文 🙂"),
        ("two\r\nlines\rand\ttabs", "two\nlines\nand\ttabs"),
        ("\u202egnp.exe\u202c", "‹U+202E›gnp.exe‹U+202C›"),
        ("s\u200be\u2060r\ufeff", "s‹U+200B›e‹U+2060›r‹U+FEFF›"),
        ("a\x00b\x1b[31m", "a‹U+0000›b‹U+001B›[31m"),
        ("a\u2028b\x85c", "a‹U+2028›b‹U+0085›c"),
        ("half \ud83d of it", "half ‹U+D83D› of it"),
        ("tag \U000e0041", "tag ‹U+E0041›"),
        ("1\xa0000 \u3000 wide", "1\xa0000 \u3000 wide"),
        ("e\u0301\u0323" + "\u0301" * 20, "e\u0301\u0323" + "\u0301" * 6 + "‹14 more marks›"),
        ("👩\u200d🚀 می\u200cخواهم", "👩\u200d🚀 می\u200cخواهم"),
    ],
)
def test_nothing_hidden_stays_hidden(text, shown):
    assert visible(text) == shown


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_text_turns_a_line_around_or_cannot_be_written(text):
    shown = visible(text)
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\x1b\x00")
    assert shown.encode().decode() == shown
    assert visible(shown) == shown


def test_an_endless_text_is_cut_and_counted():
    texts = Texts(max_chars=10)
    assert texts("0123456789") == "0123456789"
    assert texts.n_cut == 0
    assert texts("0123456789" * 200) == "0123456789 … (1,990 more characters)"
    assert texts.n_cut == 1
