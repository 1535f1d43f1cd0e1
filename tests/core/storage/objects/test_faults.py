"""What a command makes of a store that is busy, denies, does not answer or is not there."""

import json
import os
import signal

import pytest
from object_store import behind

from fireact_ray.cli.main import _act
from fireact_ray.core.errors import DataError, InputError, WriteFailed
from fireact_ray.core.storage import buckets
from fireact_ray.core.storage.folder import Folder

pytestmark = pytest.mark.slow


def test_a_busy_store_and_cut_connections_are_outlasted(run, door):
    troubles = iter(["busy", "reset", "busy", "lost", "busy", "reset"])
    there = behind(door, run)
    there.write("warm.txt", "")
    door.trouble = lambda method, path: next(troubles, None)
    there.write("a.txt", "once")
    assert there.read("a.txt") == b"once"
    assert there.names() == ["a.txt", "warm.txt"]


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ("denied", r"refuses this process\. Give it credentials .* \(AccessDenied\)"),
        ("busy", r"s3://data: .* \(SlowDown\)"),
        ("reset", r"does not answer\. Check the network"),
        ("hang", r"does not answer\. Check the network"),
    ],
)
def test_a_store_that_cannot_be_worked_with_is_told_in_a_sentence_without_secrets(
    run, door, trouble, said, monkeypatch
):
    monkeypatch.setattr(buckets, "_FIRST_S", 2.0)
    door.trouble = lambda method, path: trouble
    with pytest.raises(InputError, match=said) as refused:
        behind(door, run).exists("recipe.yaml")
    assert "\n" not in str(refused.value) and "a-secret" not in str(refused.value)


def test_a_store_that_refuses_in_the_middle_ends_a_command_with_a_sentence(run, door, capsys):
    there = behind(door, run)
    there.write("a.txt", "")
    door.trouble = lambda method, path: "denied"
    with pytest.raises(SystemExit) as ended:
        _act(lambda: there.read("a.txt"))
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.endswith(
        "a.txt: AccessDenied. What is written there is kept: run the same command again.\n"
    )


def test_an_interrupt_ends_the_wait_for_a_store_that_hangs(run, door):
    there = behind(door, run)
    there.write("a.txt", "")

    def interrupted(method: str, path: str) -> str:
        os.kill(os.getpid(), signal.SIGINT)
        return "hang"

    door.trouble = interrupted
    with pytest.raises(KeyboardInterrupt):
        there.read("a.txt")


def test_a_missing_bucket_is_told_in_a_sentence(run):
    with pytest.raises(InputError, match=r"s3://nowhere-at-all: there is no such bucket at http://127"):
        Folder("s3://nowhere-at-all/r").names()


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("s3:///r", r"no bucket is named"),
        ("s3://data/r?regoin=x", r"unknown options \['regoin'\]"),
    ],
)
def test_a_uri_that_names_no_place_is_refused(uri, said):
    with pytest.raises(InputError, match=said):
        Folder(uri).names()


def test_a_write_that_is_denied_in_the_middle_is_a_write_that_failed(run, door):
    there = behind(door, run)
    there.write("a.txt", "")
    door.trouble = lambda method, path: "denied" if method == "PUT" else None
    with pytest.raises(WriteFailed, match=r"b\.txt: cannot be written \(.*AccessDenied\)"):
        there.write("b.txt", "")


def test_a_secret_is_in_no_message(run, door):
    there = Folder(behind(door, run).uri.replace("s3://", "s3://a-name:a-secret-of-theirs@"))
    door.trouble = lambda method, path: "denied"
    with pytest.raises((InputError, DataError)) as refused:
        there.names()
    assert "a-secret" not in str(refused.value)
    assert "a-secret" not in repr(there.objects)
    assert json.dumps(str(there.objects[0].bucket)) == '"s3://data"'
