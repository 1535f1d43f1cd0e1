"""Nothing here loads torch: a provider trains, and a test says what becomes of it."""

import pytest
from provider import Provider


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """In place of the training room's, which imports torch."""


@pytest.fixture
def provider():
    with Provider() as running:
        yield running
