"""Tab-separated passages are read as they were meant: quoted, unquoted, over several lines, with stray quotes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireact_ray.agent.tools.corpora.passage import LeftOut, Passage
from fireact_ray.agent.tools.corpora.tsv import columns_of, table_passages

DPR = ("id", "text", "title")


def read(*lines, columns=DPR):
    return list(table_passages(iter(lines), columns))


def test_cells_are_unquoted_as_csv_quotes_them():
    assert read('1\t"Aaron ( or ; ""Ahärôn"") is a prophet."\tAaron', '2\t"A song."\t"""Heroes"" (song)"\r\n') == [
        Passage("Aaron", 'Aaron ( or ; "Ahärôn") is a prophet.'),
        Passage('"Heroes" (song)', "A song."),
    ]


def test_quotes_that_quote_no_cell_stay():
    assert read('1\t"Weird Al" Yankovic sings.\tAl', '2\tIt is 6" deep.\tTarn', '3\t"Deep\tTarn', '4\tx\t"Orr') == [
        Passage("Al", '"Weird Al" Yankovic sings.'),
        Passage("Tarn", 'It is 6" deep.'),
        Passage("Tarn", '"Deep'),
        Passage('"Orr', "x"),
    ]


def test_a_quoted_cell_may_go_over_lines():
    assert read('1\t"A lake.', "", 'Deep."\tTarn', "2\tA hill.\tOrr") == [
        Passage("Tarn", "A lake.\n\nDeep."),
        Passage("Orr", "A hill."),
    ]


def test_a_quote_that_is_never_closed_takes_no_other_row_with_it():
    assert read('1\t"A lake.', "2\tA hill.\tOrr", LeftOut.NOT_TEXT, "3\tA man.\tAda") == [
        LeftOut.CELLS,
        Passage("Orr", "A hill."),
        LeftOut.NOT_TEXT,
        Passage("Ada", "A man."),
    ]
    assert read('1\t"A lake.', LeftOut.NOT_TEXT) == [LeftOut.CELLS, LeftOut.NOT_TEXT]


def test_rows_of_other_widths_empty_ones_and_blank_lines_are_told_apart():
    assert read("1\tA lake.", "1\ta\tb\tc", "2\t\tOrr", "", "3\tA man.\t") == [
        LeftOut.CELLS,
        LeftOut.CELLS,
        LeftOut.EMPTY,
        Passage("", "A man."),
    ]


@pytest.mark.parametrize(
    ("line", "columns"),
    [
        ("id\ttext\ttitle\n", DPR),
        ('"ID"\t"Title"\t"Text"\r\n', ("id", "title", "text")),
        ("7\tA lake.\tTarn", DPR),
        ("7\tA lake.", ("id", "text")),
        ("Tarn\tA lake.\tx", None),
        ("7", None),
        ("text", None),
    ],
)
def test_the_first_line_tells_the_columns(line, columns):
    assert columns_of(line) == columns


def test_a_table_without_titles_gives_none():
    assert read("7\tA lake.", columns=("id", "text")) == [Passage("", "A lake.")]


@given(st.lists(st.sampled_from(['1\t"a', "2\ta\tb", '3\t"a"\t"b"', '"', 'c"\td', "", "x\ty\tz\tw", LeftOut.NOT_TEXT])))
def test_no_row_is_lost_without_a_word(lines):
    """Every line is a row, a part of one, blank or a reason."""
    found = read(*lines)
    whole = sum(line in ("2\ta\tb", '3\t"a"\t"b"') for line in lines)
    assert sum(isinstance(one, Passage) for one in found) >= whole
    assert len(found) <= len(lines)
