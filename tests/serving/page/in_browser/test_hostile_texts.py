"""No text is more than text: not a question, not a model's, not a search's."""

import json

import pytest
from hostile import HOSTILE
from hostile_pages import HOSTILE_PAGES
from paged import AUTHOR, PHONE, ask, texts

from fireact_ray.core.pages.text import Texts, visible

pytestmark = pytest.mark.slow


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
        assert page.locator("img, iframe, svg, object, base, a, math, meta[http-equiv=refresh]").count() == 0
        assert page.locator("link").count() == page.locator("head > link[rel=icon]").count() == 1


def test_hostile_questions_come_back_from_the_server_as_text(opened):
    with opened() as page:
        for payload in ("<img src=x onerror=window.ran=1>", "</script><script>window.ran=1</script>", "\u202etxet"):
            ask(page, f"{AUTHOR} {payload}")
            page.locator(".verdict.answered").wait_for()
            assert texts(page, "#card h2") == [visible(f"{AUTHOR} {payload}")]
        assert page.evaluate("window.ran") is None


# Shows each text in every place that a server, a model or a search fills, and says what stands out: a line wider than
# the window or its column.
SHOW_EACH = """async (payloads) => {
  const found = [];
  for (const text of payloads) {
    const facts = { action: { tool: text, argument: text }, observation: { text, status: 'ok' },
      model_seconds: 1, tool_seconds: 1, usage: { prompt_tokens: 1, completion_tokens: 1 }, cost_usd: null };
    const runs = [newRun(text, [[text, text]]), newRun(text, [[text, "other"]])];
    for (const run of runs) {
      const summary = [{ type: 'summary_text', text }];
      applyEvent(run, { type: 'response.output_item.done', item: { type: 'reasoning', summary } });
      applyEvent(run, { type: 'response.output_item.added', item: { type: 'file_search_call', queries: [text] } });
      applyEvent(run, { type: 'response.output_item.done', item: { type: 'file_search_call', fireact: facts } });
      const trajectory = { steps: [{ reasoning: text, repairs: [text] }] };
      const response = { usage: null, error: { message: text }, fireact: { trajectory, ignored: { [text]: text } } };
      response.output = [{ type: 'message', content: [{ text }] }];
      applyEvent(run, { type: run === runs[1] ? 'response.completed' : 'response.failed', response });
    }
    offered = { title: text, examples: [{ kind: text, text }] };
    models = [text, 'other'];
    opened = null;
    drawOffer(true);
    const wide = () => (document.documentElement.scrollWidth > window.innerWidth ? 'page' : '');
    const broken = [wide()];
    const entry = { question: text, faults: text, follows: null, at: Date.now(), runs };
    keepEntry(entry);
    open(entry);
    showProblem(text);
    followUp(entry);
    say(runs[0], text, true);
    for (const folded of document.querySelectorAll('details')) folded.open = true;
    broken.push(wide(), ...[...document.querySelectorAll('.side, .entry, .ask')].map(
      (e) => (e.scrollWidth > e.clientWidth + 1 ? e.className : '')));
    found.push([document.querySelector('#card h2').textContent, broken.filter(Boolean)]);
    await new Promise((done) => setTimeout(done));
  }
  return found;
}"""
