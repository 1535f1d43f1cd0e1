"""Ask and watch: what an agent does is there as it happens, and how it ends is said."""

import re

import pytest
from page_server import until
from paged import AUTHOR, MANY, ask, texts

pytestmark = pytest.mark.slow


def test_a_question_is_answered_and_each_step_says_what_it_took(opened):
    with opened() as page:
        page.locator(".example").first.click()
        assert page.locator("#question").input_value() == AUTHOR
        page.locator("#submit").click()
        page.locator(".verdict.answered").wait_for()
        assert texts(page, "#card h2") == [AUTHOR]
        assert texts(page, ".final") == ["Ila Dun"]
        assert texts(page, ".thought") == ["I need the author.", "Ila Dun wrote it."]
        assert texts(page, ".argument") == ["The Road to Zem author", "Ila Dun"]
        assert texts(page, ".observation") == ["The Road to Zem is a novel by Ila Dun."]
        first, second = texts(page, ".cost")
        assert re.fullmatch(r"model 1\.25 s\s+(search [< .\d]+ s\s+)?400 \+ 25 tokens\s+\$0\.00024", first)
        assert re.fullmatch(r"model 1\.25 s\s+400 \+ 25 tokens\s+\$0\.00024", second)
        facts = [text.split("\n") for text in texts(page, ".measures > div")]
        assert facts[1:] == [["steps", "2"], ["searches", "1"], ["tokens", "800 + 50"], ["cost", "$0.00047"]]
        assert texts(page, ".entry") == [f"{AUTHOR}\nIla Dun"]
        assert not page.locator("#examples").is_visible()
        assert page.url.endswith("/")


def test_who_asks_before_the_agents_are_known_is_answered_once_they_are(opened):
    with opened() as page:
        held = []
        page.route("**/v1/page", lambda route: held.append(route))
        page.reload()
        ask(page, AUTHOR)
        page.keyboard.press("Enter")
        held[0].continue_()
        page.locator(".verdict.answered").wait_for()
        assert texts(page, ".entry") == [f"{AUTHOR}\nIla Dun"]


def test_steps_arrive_while_the_model_still_works(opened, gate):
    with opened() as page:
        ask(page, "held model")
        page.locator(".observation").wait_for()
        assert texts(page, ".verdict.running") == ["Working"]
        assert page.locator("#stop").is_visible()
        assert not page.locator("#submit").is_visible()
        assert "found something" in page.locator("#said").inner_text()
        gate.is_open.set()
        page.locator(".verdict.answered").wait_for()
        assert page.locator("#submit").is_visible()
        assert page.locator("#said").inner_text().strip().endswith("Answer: Ila Dun")


def test_a_query_is_shown_while_it_is_searched_for(opened, gate):
    with opened() as page:
        ask(page, "held search")
        page.locator(".argument").wait_for()
        assert texts(page, ".thought") == ["It is slow."]
        assert re.fullmatch(r"searching( \d+\.\d s)?", page.locator(".step .waiting").inner_text())
        assert page.locator(".observation").count() == 0
        gate.is_open.set()
        page.locator(".verdict.answered").wait_for()
        assert texts(page, ".observation") == ["Slow but found."]
        assert page.locator(".waiting:visible").count() == 0


def test_two_agents_are_asked_at_once_and_stand_side_by_side(opened):
    with opened() as page:
        page.locator("#against").select_option("base")
        ask(page, AUTHOR)
        page.locator(".verdict.answered").nth(1).wait_for()
        assert texts(page, ".system") == ["base", "tuned"]
        assert texts(page, ".final") == ["Ada Lom", "Ila Dun"]
        assert texts(page, ".differs") == ["They differ from here"] * 2
        left, right = (page.locator(".side").nth(n).bounding_box() for n in (0, 1))
        assert left["y"] == right["y"]
        assert left["x"] + left["width"] <= right["x"]


def test_search_faults_are_switched_on_for_one_question(opened):
    with opened() as page:
        assert not page.locator("#faults").is_visible()
        page.locator("#faulty").check()
        ask(page, MANY)
        page.locator(".verdict.answered").wait_for()
        struck = page.locator(".status.empty").count()
        assert 0 < struck < 6
        assert "search faults: half find nothing" in page.locator(".place").inner_text()
        page.locator("#faults").select_option("error")
        ask(page, MANY)
        page.locator(".status.error").first.wait_for()
        page.locator(".verdict.answered").wait_for()
        assert page.locator(".status.error").count() == struck
        page.locator("#faulty").uncheck()
        ask(page, MANY)
        page.locator(".verdict.answered").wait_for()
        assert page.locator(".status").count() == 0


@pytest.mark.parametrize("way", ["key", "button", "leaving"])
@pytest.mark.parametrize("question", ["held model", "held search"])
def test_what_is_stopped_stops_on_the_server(opened, gate, way, question):
    with opened() as page:
        ask(page, question)
        until(lambda: gate.n_waiting == 1)
        page.locator(".thought").wait_for()
        if way == "leaving":
            page.goto("about:blank")
        else:
            page.keyboard.press("Escape") if way == "key" else page.locator("#stop").click()
            page.locator(".verdict.stopped").wait_for()
            assert texts(page, ".verdict > *") == ["Stopped", "You stopped it."]
            assert page.locator(".thought").count() == 1
        until(lambda: gate.n_gone == 1)
        page.goto(page.url)


def test_a_fault_in_the_middle_is_said_and_what_came_before_stays(opened):
    with opened() as page:
        ask(page, "goes down")
        page.locator(".verdict.failed").wait_for()
        assert texts(page, ".why") == ["The model is not available right now. Ask again a little later."]
        assert texts(page, ".observation") == ["The Road to Zem is a novel by Ila Dun."]
        assert texts(page, ".foot button") == ["Download JSON", "Copy JSON"]
        assert page.locator("#submit").is_visible()


@pytest.mark.parametrize("question", ["is cut", "ends early"])
def test_a_connection_that_ends_before_the_answer_is_no_answer(opened, gate, question):
    with opened(but=["console: Failed to load resource"]) as page:
        ask(page, question)
        page.locator(".observation").wait_for()
        gate.is_open.set()
        page.locator(".verdict.failed").wait_for()
        assert texts(page, ".why") == ["The connection ended before the answer. What arrived until then is below."]
        assert texts(page, ".thought")[0] == "I need the author."


def test_a_limit_is_said_in_words_and_its_trajectory_is_there(opened):
    with opened() as page:
        ask(page, "no end")
        page.locator(".verdict.failed").wait_for()
        assert texts(page, ".why") == ["It took all the steps that it may take and had no answer."]
        assert page.locator(".step").count() == 8
        assert texts(page, ".foot button") == ["Download JSON", "Copy JSON"]
        assert texts(page, ".entry .result") == ["out of steps"]


def test_the_focus_stays_where_one_writes_while_an_answer_arrives(opened):
    with opened() as page:
        ask(page, AUTHOR)
        page.locator(".verdict.answered").wait_for()
        assert page.evaluate("document.activeElement.id") == "question"
        page.locator(".entry").click()
        assert page.evaluate("document.activeElement.id") == "card"


def test_tokens_cost_and_time_add_up_while_it_works(opened, gate):
    with opened() as page:
        ask(page, "held model")
        page.locator(".observation").wait_for()
        facts = dict(text.split("\n") for text in texts(page, ".measures > div"))
        assert (facts["steps"], facts["tokens"], facts["cost"]) == ("1", "400 + 25", "$0.00024")
        assert page.locator(".timeline .piece.model").count() == 1
        gate.is_open.set()
        page.locator(".verdict.answered").wait_for()
        assert page.locator(".timeline .piece.model").count() == 2
        assert dict(text.split("\n") for text in texts(page, ".measures > div"))["tokens"] == "800 + 50"
