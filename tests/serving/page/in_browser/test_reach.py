"""Keyboard, phone, light, dark and paper: whoever looks at the page, with whatever, reaches all of it."""

import pytest
from paged import AUTHOR, PHONE, ask, texts

pytestmark = pytest.mark.slow

FOCUSED = """[document.activeElement.id || document.activeElement.className,
  getComputedStyle(document.activeElement).outlineStyle]"""


def test_the_keyboard_reaches_everything_and_shows_where_it_is(opened):
    with opened() as page:
        page.locator(".example").first.wait_for()
        seen = []
        for _ in range(16):
            page.keyboard.press("Tab")
            name, outline = page.evaluate(FOCUSED)
            seen.append(name)
            assert outline != "none" or name in ("question", "blank"), name
        assert {"show", "against", "faulty", "submit", "example", "theme", "help-button"} <= set(seen)
        page.locator("#title").click()
        page.keyboard.press("/")
        assert page.evaluate("document.activeElement.id") == "question"
        page.keyboard.type("a?")
        page.keyboard.press("Shift+Enter")
        page.keyboard.type("b")
        assert page.locator("#question").input_value() == "a?\nb"
        page.locator("#title").click()
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("?")
        assert page.locator("#help").is_visible()
        page.keyboard.press("Escape")
        assert not page.locator("#help").is_visible()


def test_on_a_phone_nothing_is_wider_than_the_screen_and_the_history_folds(opened, gate):
    wide = "document.documentElement.scrollWidth > window.innerWidth"
    with opened(**PHONE) as page:
        page.locator(".example").first.wait_for()
        assert not page.evaluate(wide)
        assert not page.locator("#open-history").is_visible()
        page.locator("#against").select_option("base")
        page.locator(".switch").tap()
        page.locator("#question").fill("held model")
        page.locator("#submit").tap()
        page.locator(".thought").first.wait_for()
        assert page.locator("#card h2").bounding_box()["y"] < 100
        stop = page.locator("#stop").bounding_box()
        assert stop["y"] + stop["height"] < 780
        page.locator("#stop").tap()
        page.locator(".verdict.stopped").nth(1).wait_for()
        page.locator("#question").fill("wordy")
        page.locator("#submit").tap()
        page.locator(".verdict.answered").nth(1).wait_for()
        assert not page.evaluate(wide)
        first, second = (page.locator(".side").nth(n).bounding_box() for n in (0, 1))
        assert first["y"] + first["height"] <= second["y"]
        assert not page.locator(".entry").first.is_visible()
        page.locator("#open-history").tap()
        assert page.locator(".entry").count() == 2
        assert page.locator("#open-history").get_attribute("aria-expanded") == "true"
        page.locator(".entry").first.tap()
        assert not page.locator(".entry").first.is_visible()
        small = """[...document.querySelectorAll('button, select, .switch')].filter((e) => e.checkVisibility()
          && !e.closest('.observation') && !e.closest('.place') && e.getBoundingClientRect().height < 40)
          .map((e) => e.id || e.className)"""
        assert page.evaluate(small) == []


def test_light_and_dark_follow_the_system_until_one_chooses(opened):
    ground = "getComputedStyle(document.body).backgroundColor"
    light, dark = "rgb(251, 250, 247)", "rgb(22, 21, 19)"
    with opened(color_scheme="dark") as page:
        assert page.evaluate(ground) == dark
        page.locator("#theme").click()
        assert page.evaluate(ground) == light
        page.reload()
        assert page.evaluate(ground) == light
        page.locator("#theme").click()
        assert page.evaluate(ground) == dark
        page.locator("#theme").click()
        assert texts(page, "#theme") == ["Colours: Auto"]
        ask(page, AUTHOR)
        page.locator(".verdict.answered").wait_for()
        page.emulate_media(media="print")
        assert page.evaluate(ground) == "rgb(255, 255, 255)"
        assert page.locator(".final").is_visible()
        assert not page.locator("#ask").is_visible()
        assert not page.locator("#history").is_visible()


def test_each_text_runs_in_its_own_direction(opened):
    ends = """(selector) => {
      const text = document.querySelector(selector).firstChild;
      return [0, text.length - 1].map((n) => {
        const at = document.createRange();
        at.setStart(text, n);
        at.setEnd(text, n + 1);
        return at.getBoundingClientRect().left;
      });
    }"""
    with opened() as page:
        ask(page, "من كتب وصف البحيرات؟ words right to left 2019")
        page.locator(".verdict.answered").wait_for()
        for selector in ("#card .question", ".entry .asked", ".thought", ".final"):
            first, last = page.evaluate(ends, selector)
            assert first > last, selector
        ask(page, AUTHOR)
        page.locator(".verdict.answered").wait_for()
        for selector in ("#card .question", ".entry .asked", ".thought", ".final"):
            first, last = page.evaluate(ends, selector)
            assert first < last, selector
