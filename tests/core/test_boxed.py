import pytest

from fireact_ray.core.boxed import boxes, whole_box

WHOLE = {
    "\\boxed{312}": "312",
    "$\\boxed{\\text{Lake Tarn}}$": "Lake Tarn",
    "$$\\boxed {\\mathrm{Fe}}$$": "Fe",
    "\\boxed{\\frac{1}{2}}": "\\frac{1}{2}",
    "\\boxed{1} and \\boxed{2}": None,
    "so \\boxed{1}": None,
    "\\boxed{1": None,
    "312": None,
}


@pytest.mark.parametrize("text", WHOLE)
def test_a_box_that_is_all_of_a_text_is_what_stands_in_it(text):
    assert whole_box(text) == WHOLE[text]


def test_boxes_are_found_where_their_own_braces_close():
    text = "a {\\boxed{x{y}}} b } \\boxed{\\boxed{z}} \\boxed{open"
    assert [(text[box.start : box.end], box.inner) for box in boxes(text)] == [
        ("\\boxed{x{y}}", "x{y}"),
        ("\\boxed{\\boxed{z}}", "\\boxed{z}"),
        ("\\boxed{z}", "z"),
    ]


def test_a_text_of_openings_alone_is_read_once():
    assert boxes("\\boxed{" * 100_000) == []
