import json
import re
from html.parser import HTMLParser

import pytest

from fireact_ray.evaluation.experiments.page import page_of
from fireact_ray.evaluation.experiments.results import Missing, grouped
from fireact_ray.evaluation.experiments.shown import Answer
from fireact_ray.evaluation.experiments.tables import sections_of
from fireact_ray.evaluation.experiments.writing import answers_json, answers_markdown

from .recorded import result

pytestmark = pytest.mark.slow

HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(2)">'


def answer(name="data-scaling", question="How?", missing=()):
    results = [
        result("base", "1000"),
        result("finetuned", "1100", axes={"n": "100"}),
        result("finetuned", "1110", axes={"n": "500"}),
    ]
    sections = sections_of(["scaling", "systems", "costs"], grouped(results)[0], missing, {})
    return Answer(name, question, (("recipe", "demo"),), sections)


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def test_the_page_needs_nothing_beside_it_and_runs_nothing():
    tags = Tags(page_of("t", [answer(), answer("cost")])).tags
    assert not {tag for tag, _ in tags} & {"script", "link", "img", "iframe", "object", "base", "form"}
    used = [value for _, attrs in tags for name, value in attrs.items() if name in ("href", "src", "xlink:href")]
    assert used and all(value.startswith("#") for value in used)
    assert not [name for _, attrs in tags for name in attrs if name.startswith("on")]


def test_figures_take_their_colours_from_the_page_which_has_them_for_light_and_dark():
    page = page_of("t", [answer()])
    svgs = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(svgs) == 3
    for svg in svgs:
        assert "var(--ink)" in svg and "var(--series-0)" in svg
        assert not re.findall(r"#0[0-9a-f]{5}", svg)
        assert 'role="img"' in svg and "width=" not in svg[: svg.index(">")].replace("stroke-width=", "")
    assert "prefers-color-scheme: dark" in page and "@media print" in page


def test_ids_of_figures_do_not_meet():
    ids = [attrs["id"] for _, attrs in Tags(page_of("t", [answer(), answer("cost")])).tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_what_a_figure_refers_to_is_its_own():
    page = page_of("t", [answer(), answer("cost")])
    ids = {attrs["id"] for _, attrs in Tags(page).tags if "id" in attrs}
    for number, svg in enumerate(re.findall(r"<svg.*?</svg>", page, re.DOTALL)):
        used = set(re.findall(r'(?:url\(|href=")#([\w-]+)', svg))
        assert used and used <= ids
        assert all(name.startswith(f"f{number}-") for name in used)


def test_texts_are_data():
    page = page_of(HOSTILE, [answer(question=HOSTILE, missing=[Missing(HOSTILE, "y")])])
    assert "<script" not in page and "<img" not in page


def test_json_holds_the_rows_behind_each_number():
    found = json.loads(answers_json([answer()]))["experiments"][0]
    value = found["sections"][0]["tables"][0]["rows"][1]["values"][0]
    assert (value["number"], value["rows"]) == (50.0, ["/runs/100/evaluations/finetuned/trajectories"])


def test_markdown_holds_the_same_numbers_and_why_a_cell_has_none():
    text = answers_markdown("demo", [answer(missing=[Missing("n-200", "train failed: no room")])])
    assert "| 500 " in text and "75.0 [" in text
    assert "n-200: train failed: no room" in text
