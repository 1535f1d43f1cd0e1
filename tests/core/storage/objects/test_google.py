"""gs://: the same files and leases by Google's protocol, whose versions are generations."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from google_store import google_store

from fireact_ray.core.errors import InputError
from fireact_ray.core.storage import buckets
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.lease import run_lease
from fireact_ray.core.storage.lease_file import lease_file

pytestmark = pytest.mark.slow


@pytest.fixture
def emulator(monkeypatch):
    """Its address, found by Google's own variable, and the last request's headers."""
    monkeypatch.setattr(buckets, "_opened", {})
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SERVICE_ACCOUNT"):
        monkeypatch.delenv(name, raising=False)
    with google_store("data") as (address, headers):
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
        yield address, headers


def test_files_are_written_read_listed_renamed_and_deleted(emulator):
    run = Folder("gs://data/runs/demo")
    run.write("recipe.yaml", "name: demo\n")
    (run / "checkpoints/checkpoint_1").write("state.pt", b"weights")
    assert run.names() == ["recipe.yaml"]
    assert (run / "checkpoints").folders() == ["checkpoint_1"]
    (run / "checkpoints").rename("checkpoint_1", "broken-checkpoint_1")
    assert [file.name for file in run.files_below("")] == ["checkpoints/broken-checkpoint_1/state.pt", "recipe.yaml"]
    assert (run / "checkpoints/broken-checkpoint_1").read("state.pt") == b"weights"
    (run / "checkpoints").delete_folder("broken-checkpoint_1")
    run.delete("recipe.yaml")
    assert run.files_below("") == []


def test_no_credentials_are_looked_for_where_an_emulator_is_named(emulator):
    _, headers = emulator
    Folder("gs://data/runs").write("a.txt", "a")
    assert headers["authorization"].strip() == "Bearer"


def test_of_many_that_begin_at_once_one_gets_the_lease(emulator):
    run = Folder("gs://data/runs/demo")

    def begin(number: int) -> bool:
        return lease_file(run).replace(None, b'{"id": %d}' % number, lambda seconds: None)

    with ThreadPoolExecutor(8) as commands:
        assert list(commands.map(begin, range(8))).count(True) == 1


def test_a_lease_is_replaced_only_where_it_is_still_the_one_that_was_seen(emulator):
    run, (_, headers) = Folder("gs://data/runs/demo"), emulator
    file = lease_file(run)
    assert file.replace(None, b'{"id": 1}', lambda seconds: None)
    seen = file.read()
    assert file.replace(seen, b'{"id": 2}', lambda seconds: None)
    assert not file.replace(seen, b'{"id": 3}', lambda seconds: None)
    assert run.read("lease.json") == b'{"id": 2}'
    assert "x-goog-if-generation-match" not in headers, "the last request was the read"


def test_a_lease_is_free_again_when_its_command_has_ended(emulator):
    run = Folder("gs://data/runs/demo")
    with run_lease(run, "fireact generate"):
        assert json.loads(run.read("lease.json"))["command"] == "fireact generate"
    assert run.read("lease.json") == b"{}\n"


def test_an_address_in_the_uri_comes_before_that_of_the_environment(emulator, monkeypatch):
    address, _ = emulator
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "127.0.0.1:1")
    run = Folder(f"gs://data/runs?endpoint_override={address.replace(':', '%3A')}&scheme=http")
    run.write("a.txt", "a")
    assert run.names() == ["a.txt"]


def test_a_bucket_that_is_not_there_and_credentials_that_cannot_be_read_are_one_sentence(
    emulator, monkeypatch, tmp_path
):
    with pytest.raises(InputError, match=r"gs://other: there is no such bucket at http://127\.0\.0\.1"):
        Folder("gs://other/runs").names()
    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    (tmp_path / "key.json").write_text("{}")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    with pytest.raises(InputError, match=r"the credentials cannot be read\. Let GOOGLE_APPLICATION_CREDENTIALS name"):
        Folder("gs://data/runs").names()
