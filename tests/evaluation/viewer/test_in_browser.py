"""The page in a real Chromium: what one sees, keys, the address, and that no text of a row is ever more than text."""

import re
from contextlib import contextmanager
from dataclasses import replace

import pytest
from browser import Watched, running_browser
from hostile_pages import HOSTILE_PAGES
from viewing import CLEAN, row, system

from fireact_ray.core.pages.text import visible
from fireact_ray.core.types import Action, Observation, Question, Step, StopReason
from fireact_ray.evaluation.viewer.html import to_html
from fireact_ray.evaluation.viewer.page import build_page
from fireact_ray.evaluation.viewer.trained import TrainedRow

pytestmark = pytest.mark.slow  # one Chromium for all of the file

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def browser():
    with running_browser() as found:
        yield found


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Pages by name, each written once."""
    folder = tmp_path_factory.mktemp("pages")
    for name, systems in {"one": one_run(), "two": two_systems(), "hostile": hostile(), "many": many()}.items():
        (folder / f"{name}.html").write_text(to_html(build_page(name, systems)), encoding="utf-8")
    return folder


@pytest.fixture
def opened(browser, written):
    """Opens a page and closes it after the test, in which it must have done nothing but show itself."""

    @contextmanager
    def open_page(name, state="", **options):
        watched = Watched(browser, f"file://{written}/{name}.html{state}", **options)
        yield watched.page
        assert watched.happened == []
        watched.close()

    return open_page


def one_run():
    step = replace(CLEAN.steps[0], observation=Observation("The road is long. " * 100))
    rows = [
        row("t1", "Who wrote The Road to Zem?", kind="1hop"),
        row("t2", "How deep is Lake Tarn?", 0.0, kind="2hop", method="cot", cost_usd=None),
        row("t3", "Is Tarn older than Zem?", None, kind="2hop", steps=(step,), stop_reason=StopReason.MAX_STEPS),
        row("t4", "Who built it?", 1.0, kind="3hop", steps=(step, CLEAN.steps[1])),
    ]
    trained = {"t1": TrainedRow(9, 4, (("Question ", False), ("Thought: t", True)))}
    return [system("trajectories", *rows, trained=trained)]


def two_systems():
    other = (replace(CLEAN.steps[0], action=Action("search", "another way")), CLEAN.steps[1])
    base = [row(f"b{number}", f"Question {number}?", float(number % 2), kind=f"{number % 3}hop") for number in range(8)]
    tuned = [
        row(f"f{number}", f"Question {number}?", float(number < 6), kind=f"{number % 3}hop") for number in range(8)
    ]
    tuned[0] = replace(tuned[0], steps=other)
    return [system("base", *base), system("finetuned", *tuned)]


def hostile():
    def bad(key, text):
        step = Step(text, Action(text, text), Observation(text), text, reasoning=text, repairs=(text,))
        last = Step(text, Action("finish", text), None)
        question = Question(text, key, text, (text,), text)
        error = {"error": text, "method": text, "model": text}
        return replace(CLEAN, trajectory_id=key, question=question, steps=(step, last), **error)

    rows = [bad(f"{n}{text[:20]}", text) for n, text in enumerate(HOSTILE_PAGES.values())]
    trained = {t.trajectory_id: TrainedRow(2, 1, ((t.question.text, True), (t.question.text, False))) for t in rows}
    others = [replace(t, trajectory_id=f"o{t.trajectory_id}", score=None) for t in rows]
    return [system("<b>x", *rows, trained=trained), system("'\"><script>window.ran=1</script>", *others)]


def many():
    return [system("many", *(row(f"k{n:04d}", f"Question number {n}?", float(n % 2)) for n in range(3000)))]


def listed(page):
    return page.locator("#list .asked").all_inner_texts()


def test_rows_are_listed_and_the_first_is_open_to_read(opened):
    with opened("one") as page:
        assert listed(page) == [
            "Who wrote The Road to Zem?", "How deep is Lake Tarn?", "Is Tarn older than Zem?", "Who built it?",
        ]  # fmt: skip
        assert page.locator("#title").inner_text() == "one"
        assert page.locator("#count").inner_text() == "4 rows"
        card = page.locator("#card").inner_text()
        for words in (
            "Who wrote The Road to Zem?",
            "Expected",
            "Ila Dun",
            "q [1]",
            "model 0.50 s",
            "4 of 9 tokens are trained",
        ):
            assert words in card
        assert page.locator("#card .said.trained").count() == 2
        assert page.locator("#overview").inner_text().split("\n")[0].startswith("50.0")


def test_rows_are_filtered_by_outcome_and_by_what_they_are_and_counts_follow(opened):
    with opened("one") as page:
        page.locator(".outcome.right").click()
        assert listed(page) == ["Who wrote The Road to Zem?", "Who built it?"]
        assert page.locator(".outcome.right").get_attribute("aria-pressed") == "true"
        assert page.locator("[data-facet=kind] option").all_inner_texts() == [
            "Kind: all",
            "1hop (1)",
            "3hop (1)",
            "2hop (0)",
        ]
        page.locator("[data-facet=kind]").select_option("3hop")
        assert listed(page) == ["Who built it?"]
        page.locator("#clear").click()
        assert len(listed(page)) == 4
        page.locator("[data-facet=stop]").select_option("max_steps")
        assert listed(page) == ["Is Tarn older than Zem?"]
        assert "No answer: max steps." in page.locator("#card").inner_text()


def test_search_finds_words_anywhere_in_a_row_and_marks_them(opened):
    with opened("one") as page:
        page.locator("#search").fill("road LONG")
        assert listed(page) == ["Is Tarn older than Zem?", "Who built it?"]
        assert page.locator("#card mark").first.inner_text() == "road"
        page.locator("#search").fill('"road to zem"')
        assert listed(page) == ["Who wrote The Road to Zem?"]
        page.locator("#search").fill("nowhere")
        assert page.locator("#count").inner_text() == "0 of 4 rows"
        assert page.locator("#list").inner_text() == "No row is like that."
        assert page.locator("#card").inner_text() == "Choose a row to read it."


def test_the_keyboard_does_all_that_is_done_often(opened):
    with opened("one") as page:
        page.keyboard.press("j")
        page.keyboard.press("j")
        assert page.locator("#card h2").inner_text() == "Is Tarn older than Zem?"
        page.keyboard.press("k")
        assert page.locator("#list [aria-selected=true] .asked").inner_text() == "How deep is Lake Tarn?"
        assert page.locator("#card .measures > div").last.inner_text().split() == ["cost", "unknown"]
        page.keyboard.press("/")
        page.keyboard.type("built")
        assert listed(page) == ["Who built it?"]
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")
        assert len(listed(page)) == 4
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "card"
        page.keyboard.press("?")
        assert page.locator("#help").is_visible()
        page.keyboard.press("Escape")
        assert not page.locator("#help").is_visible()


def test_the_address_keeps_what_is_shown(opened):
    with opened("one") as page:
        page.locator("[data-facet=kind]").select_option("2hop")
        page.locator("#search").fill("tarn")
        page.locator("[data-facet=sort]").select_option("steps")
        page.keyboard.press("Escape")
        page.keyboard.press("j")
        page.wait_for_url(re.compile("row="))
        state = page.evaluate("location.hash")
        assert state == "#kind=2hop&q=tarn&sort=steps&row=t3"
    with opened("one", state) as page:
        assert page.locator("#count").inner_text() == "2 of 4 rows"
        assert page.locator("#card h2").inner_text() == "Is Tarn older than Zem?"
        assert page.locator("#search").input_value() == "tarn"
    with opened("one", "#show=none&kind=%3Cimg%20src=x%20onerror=window.ran=1%3E&sort=__proto__&row=gone") as page:
        assert page.locator("#count").inner_text() == "0 of 4 rows"
        assert page.evaluate("window.ran") is None


def test_two_systems_are_read_side_by_side_by_what_the_second_changed(opened):
    with opened("two") as page:
        assert page.locator("#outcomes button").all_inner_texts() == ["3fixed", "1broke", "3both right", "1both wrong"]
        assert [text.split("\n")[0] for text in page.locator("#overview .measured").all_inner_texts()] == [
            "50.0% right",
            "75.0% right",
        ]
        assert page.locator(".difference").all_inner_texts() == ["+25.0 points"]
        page.locator(".outcome.broke").click()
        assert listed(page) == ["Question 7?"]
        assert page.locator("#card .system").all_inner_texts() == ["base\nright", "finetuned\nwrong"]
        page.locator(".outcome.broke").click()
        assert page.locator("#card .differs").count() == 2
        page.locator("#against").select_option("")
        assert page.locator("#count").inner_text() == "8 rows"
        page.locator("#show").select_option("0")
        page.locator("#against").select_option("1")
        assert page.locator("#outcomes button").all_inner_texts()[:2] == ["1fixed", "3broke"]


def test_on_a_phone_a_row_opens_over_the_list_and_back_leads_to_it(opened):
    with opened("two", **PHONE) as page:
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert not page.locator("#card").is_visible()
        page.locator("#list .item").nth(2).tap()
        assert page.locator("#card h2").inner_text() == "Question 2?"
        page.go_back()
        assert not page.locator("#card").is_visible()
        page.locator("#list .item").nth(1).tap()
        page.locator(".back").tap()
        page.locator("#card").wait_for(state="hidden")
    with opened("two", "#row=f3", **PHONE) as page:
        assert page.locator("#card h2").inner_text() == "Question 3?"
        page.locator(".back").tap()
        assert not page.locator("#card").is_visible()


@pytest.mark.parametrize("options", [{}, PHONE], ids=["desktop", "phone"])
def test_of_thousands_of_rows_only_those_in_sight_are_elements(opened, options):
    with opened("many", **options) as page:
        assert page.locator("#list .item").count() < 40
        where = "window" if options else "document.getElementById('scroller')"
        page.evaluate(f"{where}.scrollTo(0, 88 * 2000)")
        page.wait_for_function(
            "[...document.querySelectorAll('#list .asked')].some((e) => e.textContent.includes('2003'))"
        )
        assert page.locator("#list .item").count() < 40


def test_what_is_long_is_folded_and_opened_whole(opened):
    with opened("one", "#row=t4") as page:
        page.get_by_role("button", name="Show all 1,800 characters").click()
        assert page.locator("#card .clipped").count() == 0
        assert page.locator("#card .observation").inner_text().count("The road is long.") == 100


def test_light_and_dark_and_paper_are_told_apart(opened):
    ground = "getComputedStyle(document.body).backgroundColor"
    with opened("one", color_scheme="light") as page:
        assert page.evaluate(ground) == "rgb(251, 250, 247)"
    with opened("one", color_scheme="dark") as page:
        assert page.evaluate(ground) == "rgb(22, 21, 19)"
        page.emulate_media(media="print")
        assert page.evaluate(ground) == "rgb(255, 255, 255)"
        assert page.locator("#card").is_visible()
        assert not page.locator("#list").is_visible()


@pytest.mark.parametrize("options", [{}, PHONE], ids=["desktop", "phone"])
def test_no_hostile_text_runs_loads_or_leaves_its_place(opened, options):
    texts = {name: visible(text) for name, text in HOSTILE_PAGES.items()}
    with opened("hostile", **options) as page:
        found = page.evaluate(OPEN_EACH, len(texts))
        assert {name: broken for name, (_, broken) in zip(texts, found, strict=True) if broken} == {}
        assert [question for question, _ in found] == list(texts.values())
        page.locator("#search").fill("window.ran")  # what is found is marked, in elements of its own
        page.evaluate("choose(0)")
        assert page.locator("#card mark").count() > 0
        assert page.evaluate("window.ran") is None
        assert page.locator("script").count() == 3
        assert page.locator("img, iframe, svg, object, base, link, a, math, meta[http-equiv=refresh]").count() == 0


# Opens each row, and says what stands out: a line wider than the window or its card, a row of the list that is higher
# than a row is.
OPEN_EACH = """async (n) => {
  const found = [];
  for (let at = 0; at < n; at += 1) {
    choose(at);
    for (const folded of document.querySelectorAll('#card details')) folded.open = true;
    const broken = [
      document.documentElement.scrollWidth > window.innerWidth ? 'page' : '',
      card.scrollWidth > card.clientWidth + 1 ? 'card' : '',
      ...[...document.querySelectorAll('#list .item')].map((e) => (e.offsetHeight === 88 ? '' : 'item')),
    ].filter(Boolean);
    found.push([card.querySelector('h2').textContent, broken]);
    await new Promise((done) => setTimeout(done));
  }
  return found;
}"""
