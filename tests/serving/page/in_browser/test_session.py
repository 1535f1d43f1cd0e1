"""The session of a tab: what was asked stays until one says so; a key stays in memory alone."""

import re

import pytest
from paged import AUTHOR, MANY, ask, texts

pytestmark = pytest.mark.slow


def test_what_was_asked_is_listed_opened_again_and_forgotten_when_one_says_so(opened):
    with opened() as page:
        for question in (AUTHOR, MANY):
            ask(page, question)
            page.locator(".verdict.answered").wait_for()
        page.reload()
        assert texts(page, ".entry .asked") == [MANY, AUTHOR]
        page.locator(".entry").nth(1).click()
        assert texts(page, "#card h2") == [AUTHOR]
        assert texts(page, ".final") == ["Ila Dun"]
        assert texts(page, ".entry[aria-current] .asked") == [AUTHOR]
        page.get_by_role("button", name="Ask again").click()
        assert page.locator("#question").input_value() == AUTHOR
        page.locator("#clear").click()
        assert page.locator(".entry").count() == 0
        assert texts(page, "#card") == [""]
        page.reload()
        assert page.locator(".entry").count() == 0


def test_a_tab_without_room_for_the_session_says_so_and_goes_on(opened):
    with opened() as page:
        page.evaluate("void (Storage.prototype.setItem = () => { throw new Error('full'); })")
        ask(page, AUTHOR)
        page.locator(".verdict.answered").wait_for()
        page.get_by_text("The oldest 1 are kept until the page is loaded again.", exact=True).wait_for()
        assert page.locator(".entry").count() == 1


def test_a_key_is_asked_for_where_one_is_needed_and_kept_nowhere(opened, guarded):
    with opened(guarded, but=["console: Failed to load resource.*40[0-9]|console: .*429"]) as page:
        page.locator("#key-dialog").wait_for()
        assert page.title() == "fireact"
        page.locator("#key").fill("fr-wrong")
        page.keyboard.press("Enter")
        page.get_by_text("The server does not take this key.").wait_for()
        page.locator("#key").fill("fr-right")
        page.keyboard.press("Enter")
        page.locator(".example").first.wait_for()
        assert page.title() == "locked almanac"
        assert not page.locator("#faults-choice").is_visible()
        ask(page, AUTHOR)
        page.locator(".verdict.answered").wait_for()
        everything = page.evaluate("document.documentElement.outerHTML + location.href + document.cookie")
        kept = page.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}])")
        assert "fr-right" not in everything + kept
        ask(page, AUTHOR)
        page.locator(".verdict.answered").wait_for()
        ask(page, AUTHOR)
        page.locator(".verdict.failed").wait_for()
        assert re.search(r"Ask again in \d+ seconds\.", page.locator(".verdict").inner_text())
        page.reload()
        page.locator("#key-dialog").wait_for()


def test_a_key_that_is_not_given_at_once_is_asked_for_again_with_a_question(opened, guarded):
    with opened(guarded, but=["console: Failed to load resource.*401"]) as page:
        page.get_by_role("button", name="Not now").click()
        assert "only with a key" in page.locator("#problem").inner_text()
        ask(page, AUTHOR)
        page.locator("#key-dialog").wait_for()
        assert page.locator("#question").input_value() == AUTHOR
        page.locator("#key").fill("fr-right")
        page.keyboard.press("Enter")
        page.locator(".example").first.wait_for()
        assert not page.locator("#problem").is_visible()
