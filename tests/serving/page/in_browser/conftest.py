"""One Chromium and two servers of scripted agents for all tests of the page."""

import re
from contextlib import contextmanager

import pytest
from browser import Watched, running_browser
from page_server import Gate, paged_agent, running
from paged import BASE, EXAMPLES, TEXTS, TUNED, cut_short

from fireact_ray.serving.app import build_app
from fireact_ray.serving.keys import Keys
from fireact_ray.serving.page.offer import Offer
from fireact_ray.serving.settings import ServingSettings


@pytest.fixture(scope="package")
def browser():
    """Ended before tests of other folders: while it runs, none that is async can."""
    with running_browser() as found:
        yield found


@pytest.fixture(scope="package")
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


@pytest.fixture(scope="package")
def asked():
    """The last turn that each call of a model had, by the server's agents."""
    return []


@pytest.fixture(scope="package")
def served(gates, asked):
    agents = {
        name: paged_agent(Newest(gates), replies, TEXTS, asked)
        for name, replies in {"tuned": TUNED, "base": BASE}.items()
    }
    settings = ServingSettings(faults=True, page=Offer("almanac", EXAMPLES))
    with running(cut_short(build_app(agents, settings))) as address:
        yield address


@pytest.fixture(scope="package")
def forgetful(gates):
    agents = {"tuned": paged_agent(Newest(gates), TUNED, TEXTS)}
    with running(build_app(agents, ServingSettings(history=False))) as address:
        yield address


@pytest.fixture(scope="package")
def guarded(gates):
    agents = {"tuned": paged_agent(Newest(gates), TUNED, TEXTS)}
    settings = ServingSettings(requests_per_minute=2, page=Offer("locked almanac", EXAMPLES))
    with running(build_app(agents, settings, Keys.of({"me": "fr-right"}))) as address:
        yield address


@pytest.fixture
def opened(browser, served):
    """Opens the page and closes it after the test, in which it must have called nobody but its server."""

    @contextmanager
    def open_page(address=served, but=(), **options):
        watched = Watched(browser, address, **options)
        try:
            yield watched.page
        finally:
            watched.close()
        calls = re.compile("|".join([f"request: {re.escape(address)}v1/", "request: data:image/svg", *but]))
        assert [what for what in watched.happened if not calls.match(what)] == []

    return open_page
