"""A real S3 server on loopback, and a folder of each test's own in its bucket."""

import pytest
from object_store import door_to, object_store

from fireact_ray.core.storage import buckets
from fireact_ray.core.storage.folder import Folder


@pytest.fixture(scope="package")
def store():
    with object_store() as found:
        found.bucket("data")
        yield found


@pytest.fixture
def run(store, monkeypatch, request) -> Folder:
    """Found by the environment."""
    given = {"AWS_ACCESS_KEY_ID": "a-name", "AWS_SECRET_ACCESS_KEY": "a-secret-of-ours"}
    for name, value in {**given, "AWS_ENDPOINT_URL": store.endpoint}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(buckets, "_opened", {})
    return Folder(f"s3://data/{request.node.name}")


@pytest.fixture
def door(store, run):
    """What it lets through is asked for as `behind(door, run)`."""
    with door_to(store.endpoint) as found:
        yield found
