"""How soon a page of `fireact view` shows its rows, and how soon a filter answers, in a real Chromium.

    python -m benchmarks.viewer [--rows 5000] [--repeats 5]

First paint: from the navigation to the first contentful paint, and to the frame in which the list stands. A filter:
from the event to the end of the layout that follows. Needs playwright and a Chromium. Exits with 1 where a goal is
missed.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.header import print_header, print_table
from fireact_ray.core.types import Action, Observation, Question, Score, Step, StopReason, Trajectory, Usage
from fireact_ray.data.formats.records import record_of
from fireact_ray.evaluation.viewer.html import to_html
from fireact_ray.evaluation.viewer.page import System, build_page

FIRST_PAINT_S, FILTER_S = 1.0, 0.1
_WORDS = ("river", "author", "castle", "painter", "year", "mountain", "university", "language", "museum", "capital")

# Times are of the page's own clock. `act` changes something; reading a height afterwards forces the layout.
_FILTER = """(act) => {
  const started = performance.now();
  new Function(act)();
  document.getElementById('list').offsetHeight;
  return performance.now() - started;
}"""
_CHOOSE = "const s = document.querySelector('[data-facet={}]'); s.value = '{}'; s.dispatchEvent(new Event('change'))"
_SEARCH = "const s = document.getElementById('search'); s.value = '{}'; s.dispatchEvent(new Event('input'))"
_ACTS = {
    "by outcome": "document.querySelector('.outcome').click()",
    "by kind": _CHOOSE.format("kind", "2hop"),
    "no filter": "document.getElementById('clear').click()",
    "search a word": _SEARCH.format("castle"),
    "search two words": _SEARCH.format("castle 1234"),
    "search what is nowhere": _SEARCH.format("qqq"),
    "no search": _SEARCH.format(""),
    "order by tokens": _CHOOSE.format("sort", "tokens"),
}


def trajectory(system: str, number: int) -> Trajectory:
    """Five steps with observations of 500 characters: about what HotpotQA's are."""
    words = [_WORDS[(number * 7 + n * n) % len(_WORDS)] for n in range(90)]
    text = " ".join([f"{number}", *words])[:500]
    steps = tuple(
        Step(
            text[n * 20 : n * 20 + 160],
            Action("search", text[n : n + 40]),
            Observation(text),
            "",
            Usage(900, 60),
            1.5,
            0.3,
        )
        for n in range(4)
    )
    last = Step(text[:120], Action("finish", words[0]), None, "", Usage(1500, 40), 1.2)
    mark = float((number * 7 + len(system)) % 5 > 1)
    question = Question(
        "hotpotqa",
        str(number),
        f"Which {words[1]} number {number} has a {words[2]}?",
        (words[0],),
        f"{1 + number % 3}hop",
    )
    stop = StopReason.FINISHED
    return Trajectory(f"{system}{number:07d}", question, "react", system, 0, (*steps, last), stop, Score(mark, mark))


def page_with(n_rows: int, names: list[str]) -> str:
    each = n_rows // len(names)
    systems = [
        System(
            "run",
            name,
            f"runs/x/evaluations/{name}",
            [record_of(trajectory(name, n), n + 1) for n in range(each)],
            each,
            {},
        )
        for name in names
    ]
    return to_html(build_page("benchmark", systems))


def measure(browser: Any, address: str) -> tuple[float, float, dict[str, float]]:
    """Seconds to the first contentful paint, to the listed rows, and of each act."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.add_init_script(
        "new MutationObserver((_, seen) => { if (document.querySelector('#list .item')) { seen.disconnect();"
        "requestAnimationFrame(() => { window.listedAt = performance.now(); }); } })"
        ".observe(document, { childList: true, subtree: true })"
    )
    page.goto(address)
    page.wait_for_function("window.listedAt && performance.getEntriesByName('first-contentful-paint').length")
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime") / 1000
    listed = page.evaluate("window.listedAt") / 1000
    page.wait_for_timeout(2_000)  # somebody reads before they search: the texts are read ahead meanwhile
    acts = {name: page.evaluate(_FILTER, act) / 1000 for name, act in _ACTS.items()}
    context.close()
    return paint, listed, acts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    print_header()
    missed = False
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        print(f"Chromium {browser.version}, {options.rows} rows, median of {options.repeats} openings")
        for kind, names in (("one system", ["finetuned"]), ("two side by side", ["base", "finetuned"])):
            started = time.perf_counter()
            file = Path(folder) / f"{kind}.html"
            file.write_text(page_with(options.rows, names), encoding="utf-8")
            built_s = time.perf_counter() - started
            found = [measure(browser, f"file://{file}") for _ in range(options.repeats)]
            acts = {name: median(acts[name] for _, _, acts in found) for name in _ACTS}
            paint, listed = (median(times[at] for times in found) for at in (0, 1))
            rows = [("first contentful paint", paint, FIRST_PAINT_S), ("rows are listed", listed, FIRST_PAINT_S)]
            rows += [(name, seconds, FILTER_S) for name, seconds in acts.items()]
            print(f"\n{kind}: {file.stat().st_size / 1e6:.1f} MB, written in {built_s:.1f} s")
            print_table(("what", "ms", "goal ms"), [(n, f"{s * 1000:.0f}", f"< {g * 1000:.0f}") for n, s, g in rows])
            missed |= any(seconds >= goal for _, seconds, goal in rows)
        browser.close()
    sys.exit(int(missed))


if __name__ == "__main__":
    main()
