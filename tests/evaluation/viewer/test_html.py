"""The file: nothing of a row ends its element, and the policy allows exactly what is ours."""

import json
import re

import pytest
from elements import Elements, allowed_by, hash_of
from hostile import HOSTILE
from hostile_pages import HOSTILE_PAGES
from viewing import row, system

from fireact_ray.core.pages.assembly import to_json
from fireact_ray.core.pages.text import visible
from fireact_ray.evaluation.viewer.html import to_html
from fireact_ray.evaluation.viewer.page import build_page

ALL = {**HOSTILE, **HOSTILE_PAGES}


def page_with(*texts: str, title: str = "run") -> str:
    rows = [row(f"k{number}", text, kind=text, method=text, error=text) for number, text in enumerate(texts)]
    return to_html(build_page(title, [system("x", *rows)]))


SKELETON = [tag for tag, _ in Elements(page_with("plain")).tags]


@pytest.mark.parametrize("text", ALL.values(), ids=ALL)
def test_no_text_adds_an_element_to_the_page(text):
    page = page_with(text, title=text)
    assert [tag for tag, _ in Elements(page).tags] == SKELETON
    assert page.encode().decode() == page


@pytest.mark.parametrize("text", ALL.values(), ids=ALL)
def test_a_text_comes_out_of_the_page_as_it_went_in(text):
    shown = visible(text)
    assert json.loads(to_json({"a": [shown]})) == {"a": [shown]}
    assert not re.search("[<>&\n\u2028\u2029]", to_json(shown))


def test_the_policy_allows_our_style_and_script_alone_and_nothing_from_elsewhere():
    elements = Elements(page_with("plain"))
    policy = next(about["content"] for about, _ in elements.named("meta") if "http-equiv" in about)
    allowed = allowed_by(policy)
    assert allowed.pop("style-src") == hash_of(elements.named("style")[0][1])
    assert allowed.pop("script-src") == hash_of(next(text for about, text in elements.named("script") if not about))
    assert allowed == {
        "default-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }


def test_the_page_names_no_other_file_and_makes_no_markup_from_text():
    elements = Elements(page_with("plain"))
    assert not [about for _, about in elements.tags if {"src", "href", "srcset", "style"} & set(about)]
    script = next(text for about, text in elements.named("script") if not about)
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|Function\(|fetch\(|XMLHttp", script
    )
    assert "url(" not in elements.named("style")[0][1]


def test_the_same_rows_give_the_same_file():
    assert page_with("one", "two") == page_with("one", "two")
