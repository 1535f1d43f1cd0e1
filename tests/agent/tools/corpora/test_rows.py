"""A row of anybody's corpus is read for what it is: by its fields, with titles and texts as they are meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireact_ray.agent.tools.corpora.passage import LeftOut, Passage
from fireact_ray.agent.tools.corpora.rows import FIELDS, passages_of, title_and_text


def read(row):
    return list(passages_of(row))


PLAIN = {
    "our own": {"title": "Tarn", "text": "A lake. Deep."},
    "BEIR": {"_id": "7", "title": "Tarn", "text": "A lake. Deep.", "metadata": {}},
    "KILT": {"wikipedia_title": "Tarn", "text": ["A lake.", "Deep."]},
    "FlashRAG": {"id": "7", "contents": '"Tarn"\nA lake. Deep.'},
    "Search-R1, unquoted": {"id": "7", "contents": "Tarn\nA lake. Deep."},
    "contents beside a title": {"title": "Tarn", "contents": "A lake. Deep."},
    "HotpotQA's dump": {"id": "7", "title": "Tarn", "text": ["A lake.", " Deep."], "charoffset": [[0, 1]]},
    "the dump's links only": {
        "title": "Tarn",
        "text_with_links": ['A <a href="Lake">lake</a>.', " <a href='x'>Deep</a>."],
    },
    "CRLF and control characters": {"title": " Tarn\x00 ", "text": "A lake.\x00Deep.\r\n"},
}


@pytest.mark.parametrize("name", PLAIN)
def test_a_passage_is_read_by_whatever_names_it_has(name):
    assert read(PLAIN[name]) == [Passage("Tarn", "A lake. Deep.")]


CONTEXTS = {
    "HotpotQA": [["Tarn", ["A lake.", " Deep."]], ["Orr", ["A hill."]]],
    "2WikiMultihopQA": [["Tarn", ["A lake.", "Deep."]], ["Orr", ["A hill."]]],
    "2WikiMultihopQA in Parquet": '[["Tarn", ["A lake.", "Deep."]], ["Orr", ["A hill."]]]',
    "HotpotQA in Parquet": {"title": ["Tarn", "Orr"], "sentences": [["A lake.", " Deep."], ["A hill."]]},
}


@pytest.mark.parametrize("name", CONTEXTS)
def test_questions_give_the_paragraphs_beside_them(name):
    row = {"_id": "q", "question": "How deep?", "answer": "very", "context": CONTEXTS[name]}
    assert read(row) == [Passage("Tarn", "A lake. Deep.", True), Passage("Orr", "A hill.", True)]


def test_paragraphs_that_are_cut_from_articles_are_not_known_by_their_title():
    row = {"question": "q", "paragraphs": [{"idx": 0, "title": "Tarn", "paragraph_text": "A lake."}, {"title": "Orr"}]}
    assert read(row) == [Passage("Tarn", "A lake."), LeftOut.NO_FIELD]
    assert read({"question": "q", "title": "Tarn", "context": "A lake."}) == [Passage("Tarn", "A lake.")]


def test_a_whole_article_of_the_dump_gives_a_passage_for_each_paragraph():
    row = {"title": "Tarn", "text": [["Tarn"], ["A lake.", " Deep."], [], ["Cold."]], "charoffset": []}
    assert read(row) == [Passage("Tarn", "A lake. Deep."), Passage("Tarn", "Cold.")]


def test_what_the_dump_escapes_is_read_as_it_was_meant():
    row = {"title": "Tarn &amp; Orr", "text": ["Q&amp;A &lt;b&gt;"], "text_with_links": []}
    assert read(row) == [Passage("Tarn & Orr", "Q&A <b>")]
    plain = {"title": "Tarn &amp; Orr", "text": "&amp;"}
    assert read(plain) == [Passage("Tarn &amp; Orr", "&amp;")]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"title": "Tarn", "text": ""}, LeftOut.EMPTY),
        ({"title": "Tarn", "text": " \x00\n"}, LeftOut.EMPTY),
        ({"title": "Tarn", "text": []}, LeftOut.EMPTY),
        ({"id": "1", "contents": '"Tarn"\n'}, LeftOut.EMPTY),
        ({"title": "Tarn"}, LeftOut.NO_FIELD),
        ({"title": "Tarn", "text": None}, LeftOut.NO_FIELD),
        ({"title": "Tarn", "text": 7}, LeftOut.NO_FIELD),
        ({"title": "Tarn", "text": ["A lake.", 7]}, LeftOut.NO_FIELD),
        ({"question": "q", "context": {"title": ["Tarn"]}}, LeftOut.NO_FIELD),
        ({"question": "q", "context": [["Tarn"]]}, LeftOut.NO_FIELD),
        (["Tarn", "A lake."], LeftOut.NO_OBJECT),
        (None, LeftOut.NO_OBJECT),
    ],
)
def test_what_gives_no_passage_gives_its_reason(row, reason):
    assert read(row) == [reason]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.sampled_from(['[["a", ["b"]]]', '"t"\nx']),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*FIELDS, "sentences"]), inner),
    max_leaves=9,
)


@given(st.dictionaries(st.sampled_from([*FIELDS, "charoffset", "id"]), ANYTHING))
def test_no_row_of_whatever_fields_stops_the_reading(row):
    found = read(row)
    assert all(
        isinstance(one, LeftOut) or (one.text.strip() == one.text != "" and "\x00" not in one.text) for one in found
    )


@pytest.mark.parametrize("title", [None, [], {}, True])
def test_a_passage_may_have_no_title(title):
    assert read({"title": title, "text": "A lake."}) == [Passage("", "A lake.")]


@pytest.mark.parametrize(
    ("contents", "meant"),
    [
        ('"Tarn"\nA lake.', ("Tarn", "A lake.")),
        ('"""Heroes"" (song)"\nA song.', ('"Heroes" (song)', "A song.")),
        ('"Weird Al" and "Al"\nA man.', ('"Weird Al" and "Al"', "A man.")),
        ('"Tarn\nA lake.', ('"Tarn', "A lake.")),
        ('"\nA lake.', ('"', "A lake.")),
        ('"Tarn"\nA lake.\nDeep.', ("Tarn", "A lake.\nDeep.")),
        ("A lake without a title.", ("", "A lake without a title.")),
    ],
)
def test_the_first_line_of_contents_is_the_title_without_its_quotes(contents, meant):
    assert title_and_text(contents) == meant
    assert read({"contents": contents}) == [Passage(*meant)]
