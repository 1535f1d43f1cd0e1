"""The page in a real Chromium against a real server: ask, watch, compare, stop, take away; and no text is more than
text."""

import json
import re
from contextlib import contextmanager

import pytest
from browser import Watched, running_browser
from hostile import HOSTILE
from hostile_pages import HOSTILE_PAGES
from page_server import HELD, Gate, paged_agent, running, until

from fireact_ray.core.errors import ModelUnavailable
from fireact_ray.core.pages.text import Texts, visible
from fireact_ray.core.types import StopReason
from fireact_ray.data.formats.records import read_records
from fireact_ray.serving.app import build_app
from fireact_ray.serving.keys import Keys
from fireact_ray.serving.page.offer import Example, Offer
from fireact_ray.serving.settings import ServingSettings

pytestmark = pytest.mark.slow  # one Chromium for all of the file

PHONE = {"viewport": {"width": 360, "height": 780}, "has_touch": True, "is_mobile": True}
AUTHOR = "Who wrote The Road to Zem?"
SEARCH_AUTHOR = "Thought: I need the author.\nAction: search[The Road to Zem author]"
FINISH = "Thought: Ila Dun wrote it.\nAction: finish[Ila Dun]"
MANY = "Which of ten lakes is the deepest?"
OTHERS = [f"Thought: Lake {n} next.\nAction: search[lake {n} depth]" for n in range(6)]
TEXTS = {
    "The Road to Zem author": "The Road to Zem is a novel by Ila Dun.",
    "(held) slow": "Slow but found.",
    "wordy": "The road is long. " * 100,
    **{f"lake {n} depth": f"Lake {n} is {n} m deep." for n in range(6)},
}
TUNED = {
    AUTHOR: [SEARCH_AUTHOR, FINISH],
    "held model": [SEARCH_AUTHOR, HELD + FINISH],
    "held search": ["Thought: It is slow.\nAction: search[(held) slow]", FINISH],
    MANY: [*OTHERS, "Thought: Lake 5.\nAction: finish[Lake 5]"],
    "no end": OTHERS + OTHERS,
    "goes down": [SEARCH_AUTHOR, ModelUnavailable("down")],
    "is cut": [SEARCH_AUTHOR, HELD + FINISH],
    "ends early": [SEARCH_AUTHOR, HELD + FINISH],
    "wordy": ["Thought: Words.\nAction: search[wordy]", "Neither thought nor action.", FINISH],
}
BASE = {**TUNED, AUTHOR: ["Thought: I know it.\nAction: finish[Ada Lom]"]}
EXAMPLES = (Example("1hop", AUTHOR), Example("2hop", MANY))
SETTINGS = ServingSettings(faults=True, page=Offer("almanac", EXAMPLES))


@pytest.fixture(scope="module")
def browser():
    with running_browser() as found:
        yield found


@pytest.fixture(scope="module")
def gates():
    return []


@pytest.fixture
def gate(gates):
    """One for each test: what waits behind it does not wait for another."""
    gates.append(Gate())
    yield gates[-1]
    gates[-1].is_open.set()


class Newest:
    """The gate of the test that runs."""

    def __init__(self, gates):
        self.gates = gates

    async def passed(self):
        await self.gates[-1].passed()


@pytest.fixture(scope="module")
def served(gates):
    agents = {
        name: paged_agent(Newest(gates), replies, TEXTS) for name, replies in {"tuned": TUNED, "base": BASE}.items()
    }
    with running(cut_short(build_app(agents, SETTINGS))) as address:
        yield address


@pytest.fixture(scope="module")
def guarded(gates):
    agents = {"tuned": paged_agent(Newest(gates), TUNED, TEXTS)}
    keys = Keys.of({"me": "fr-right"})
    settings = ServingSettings(requests_per_minute=2, page=Offer("locked almanac", EXAMPLES))
    with running(build_app(agents, settings, keys)) as address:
        yield address


def cut_short(app):
    """`app`, whose answer to a question that says so is cut, or ends as if it were whole."""

    async def cutting(scope, receive, send):
        asked, is_over = b"", False

        async def heard():
            nonlocal asked
            message = await receive()
            asked += message.get("body", b"")
            return message

        async def told(message):
            nonlocal is_over
            is_last = b"response.completed" in message.get("body", b"")
            if b"is cut" in asked and is_last:
                raise ConnectionResetError
            if b"ends early" in asked and is_last:
                await send({"type": "http.response.body"})
                is_over = True
            if not is_over:
                await send(message)

        await app(scope, heard, told)

    return cutting


@pytest.fixture
def opened(browser, served):
    """Opens the page and closes it after the test, in which it must have called nobody but its server."""

    @contextmanager
    def open_page(address=served, but=(), **options):
        watched = Watched(browser, address, **options)
        watched.page.set_default_timeout(60_000)
        try:
            yield watched.page
        finally:
            watched.close()
        calls = re.compile("|".join([f"request: {re.escape(address)}v1/", *but]))
        assert [what for what in watched.happened if not calls.match(what)] == []

    return open_page


def ask(page, question):
    page.locator("#question").fill(question)
    page.keyboard.press("Enter")


def texts(page, selector):
    return page.locator(selector).all_inner_texts()


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
        assert texts(page, ".step .waiting") == ["searching"]
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


def test_a_trajectory_is_taken_away_as_the_other_commands_read_it(opened, tmp_path):
    with opened() as page:
        ask(page, AUTHOR)
        with page.expect_download() as download:
            page.get_by_role("button", name="Download JSON").click()
        assert re.fullmatch(r"tuned-\d{4}-\d\d-\d\dT\d{6}\.json", download.value.suggested_filename)
        download.value.save_as(tmp_path / "taken.json")
    (record,) = read_records(str(tmp_path / "taken.json"))
    assert record.trajectory.answer == "Ila Dun"
    assert record.trajectory.stop_reason is StopReason.FINISHED
    assert [step.thought for step in record.trajectory.steps] == ["I need the author.", "Ila Dun wrote it."]


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
        assert texts(page, "#kept") == ["The oldest 1 are kept until the page is loaded again."]
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


def test_hidden_characters_are_named_as_everywhere_else(opened):
    both = {**HOSTILE, **HOSTILE_PAGES, "long": "\u202ex" * 10_250, "half after half": "\U0001f600\ud83d"}
    with opened() as page:
        found = page.evaluate(f"JSON.parse({json.dumps(json.dumps(list(both.values())))}).map(visible)")
        assert dict(zip(both, found, strict=True)) == {name: Texts()(text) for name, text in both.items()}


@pytest.mark.parametrize("options", [{}, PHONE], ids=["desktop", "phone"])
def test_no_hostile_text_runs_loads_or_leaves_its_place(opened, options):
    with opened(**options) as page:
        page.locator(".example").first.wait_for()
        payloads = list(HOSTILE_PAGES.values())
        found = page.evaluate(f"({SHOW_EACH})(JSON.parse({json.dumps(json.dumps(payloads))}))")
        names = dict(zip(HOSTILE_PAGES, found, strict=True))
        assert {name: broken for name, (_, broken) in names.items() if broken} == {}
        assert [question for question, _ in found] == [visible(text) for text in payloads]
        assert page.evaluate("window.ran") is None
        assert page.locator("script").count() == 1
        assert page.locator("img, iframe, svg, object, base, link, a, math, meta[http-equiv=refresh]").count() == 0


def test_hostile_questions_come_back_from_the_server_as_text(opened):
    with opened() as page:
        for payload in ("<img src=x onerror=window.ran=1>", "</script><script>window.ran=1</script>", "\u202etxet"):
            ask(page, f"{AUTHOR} {payload}")
            page.locator(".verdict.answered").wait_for()
            assert texts(page, "#card h2") == [visible(f"{AUTHOR} {payload}")]
        assert page.evaluate("window.ran") is None


FOCUSED = """[document.activeElement.id || document.activeElement.className,
  getComputedStyle(document.activeElement).outlineStyle]"""

# Shows each text in every place that a server, a model or a search fills, and says what stands out: a line wider than
# the window or its column.
SHOW_EACH = """async (payloads) => {
  const found = [];
  for (const text of payloads) {
    const facts = { action: { tool: text, argument: text }, observation: { text, status: 'ok' },
      model_seconds: 1, tool_seconds: 1, usage: { prompt_tokens: 1, completion_tokens: 1 }, cost_usd: null };
    const runs = [newRun(text), newRun(text)];
    for (const run of runs) {
      const summary = [{ type: 'summary_text', text }];
      applyEvent(run, { type: 'response.output_item.done', item: { type: 'reasoning', summary } });
      applyEvent(run, { type: 'response.output_item.added', item: { type: 'file_search_call', queries: [text] } });
      applyEvent(run, { type: 'response.output_item.done', item: { type: 'file_search_call', fireact: facts } });
      const trajectory = { steps: [{ reasoning: text, repairs: [text] }] };
      const response = { usage: null, error: { message: text }, fireact: { trajectory } };
      response.output = [{ type: 'message', content: [{ text }] }];
      applyEvent(run, { type: run === runs[1] ? 'response.completed' : 'response.failed', response });
    }
    offered = { title: text, examples: [{ kind: text, text }] };
    models = [text, 'other'];
    opened = null;
    drawOffer(true);
    const wide = () => (document.documentElement.scrollWidth > window.innerWidth ? 'page' : '');
    const broken = [wide()];
    const entry = { question: text, faults: text, at: Date.now(), runs };
    keepEntry(entry);
    open(entry);
    showProblem(text);
    say(runs[0], text);
    for (const folded of document.querySelectorAll('details')) folded.open = true;
    broken.push(wide(), ...[...document.querySelectorAll('.side, .entry, .ask')].map(
      (e) => (e.scrollWidth > e.clientWidth + 1 ? e.className : '')));
    found.push([document.querySelector('#card h2').textContent, broken.filter(Boolean)]);
    await new Promise((done) => setTimeout(done));
  }
  return found;
}"""
