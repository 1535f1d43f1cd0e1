"""A real Chromium for the tests of pages, and what a page did in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium() -> str:
    """Where it is. Skips the test where there is none."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.skip("pages are tested in a Chromium, and none is found here (Debian: apt-get install chromium)")
    return found


@contextmanager
def running_browser() -> Iterator[Any]:
    driver = pytest.importorskip("playwright.sync_api", reason="pages are tested by playwright: pip install playwright")
    path = chromium()
    with driver.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"], timeout=120_000)
        yield browser
        browser.close()


class Watched:
    """A page of the browser. `happened`: whatever it said, asked of the network, or tried against its policy."""

    def __init__(self, browser: Any, address: str, **options: Any) -> None:
        self.happened: list[str] = []
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        self.page = self.context.new_page()
        self.page.set_default_timeout(120_000)
        self.page.on("dialog", self._dialog)
        self.page.on("console", lambda message: self.happened.append(f"console: {message.text}"))
        self.page.on("pageerror", lambda error: self.happened.append(f"error: {error}"))
        self.page.on("popup", lambda popup: self.happened.append("popup"))
        self.page.on("request", self._request)
        self.address = address
        self.page.goto(address)

    def close(self) -> None:
        self.context.close()

    def _dialog(self, dialog: Any) -> None:
        self.happened.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request: Any) -> None:
        if request.url.partition("#")[0] != self.address.partition("#")[0]:
            self.happened.append(f"request: {request.url}")
