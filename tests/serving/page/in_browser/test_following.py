"""Follow-up questions: an agent is told what was asked and answered before, and each agent its own answer."""

import pytest
from paged import AUTHOR, MANY, ask, texts

pytestmark = pytest.mark.slow

AND_BORN = "And where was that author born?"
CONVERSATION = "User: {}\nAssistant: {}\nQuestion: " + AND_BORN


def answered(page, question, n=1):
    ask(page, question)
    page.locator(".verdict.answered").nth(n - 1).wait_for()


def test_a_follow_up_is_asked_with_what_was_said_before_and_shown_so(opened, asked):
    with opened() as page:
        answered(page, AUTHOR)
        page.get_by_role("button", name="Ask a follow-up").click()
        assert texts(page, "#followed") == [AUTHOR]
        assert page.evaluate("document.activeElement.id") == "question"
        answered(page, AND_BORN)
        assert asked[-1] == CONVERSATION.format(AUTHOR, "Ila Dun")
        assert texts(page, ".earlier li") == [f"{AUTHOR}\nIla Dun"]
        assert texts(page, "#card h2") == [AND_BORN]
        assert not page.locator("#follows").is_visible()
        page.reload()
        page.locator(".entry").first.click()
        assert texts(page, ".earlier li") == [f"{AUTHOR}\nIla Dun"]
        assert page.locator(".entry .following").count() == 1
        page.get_by_role("button", name="Ask again").click()
        assert texts(page, "#followed") == [AUTHOR]
        page.keyboard.press("Enter")
        page.locator(".verdict.answered").wait_for()
        assert asked[-1] == CONVERSATION.format(AUTHOR, "Ila Dun")
        page.locator("#card").focus()
        page.keyboard.press("f")
        answered(page, AND_BORN)
        first = f"User: {AUTHOR}\nAssistant: Ila Dun\nUser: {AND_BORN}\nAssistant: Orrin"
        assert asked[-1] == f"{first}\nQuestion: {AND_BORN}"


def test_agents_that_were_compared_go_on_with_their_own_answers(opened, asked):
    with opened() as page:
        page.locator("#against").select_option("base")
        answered(page, AUTHOR, 2)
        page.get_by_role("button", name="Ask a follow-up").click()
        answered(page, AND_BORN, 2)
        told = {CONVERSATION.format(AUTHOR, answer) for answer in ("Ila Dun", "Ada Lom")}
        assert set(asked[-2:]) == told
        assert texts(page, ".earlier b") == ["Ada Lom / Ila Dun"]


@pytest.mark.parametrize("way", ["key", "button", "clear"])
def test_a_question_may_stand_alone_after_all(opened, asked, way):
    with opened() as page:
        answered(page, AUTHOR)
        page.get_by_role("button", name="Ask a follow-up").click()
        if way == "key":
            page.keyboard.press("Escape")
        else:
            page.locator("#unfollow" if way == "button" else "#clear").click()
        assert not page.locator("#follows").is_visible()
        answered(page, AND_BORN)
        assert asked[-1] == AND_BORN
        assert page.locator(".earlier").count() == 0


def test_what_has_no_answer_is_not_followed(opened):
    with opened() as page:
        ask(page, "no end")
        page.locator(".verdict.failed").wait_for()
        assert not page.get_by_role("button", name="Ask a follow-up").is_visible()
        page.locator("#title").click()
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("f")
        assert not page.locator("#follows").is_visible()


def test_a_server_that_does_not_tell_it_says_so_at_the_answer(opened, forgetful):
    with opened(forgetful) as page:
        answered(page, MANY)
        page.get_by_role("button", name="Ask a follow-up").click()
        answered(page, AUTHOR)
        assert texts(page, ".not-done") == [
            "Not done: input (2 earlier turns: this agent is asked one question at a time)"
        ]
