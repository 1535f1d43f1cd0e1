"""A download ends with the released file, or with none and a sentence that says why."""

import hashlib

import pytest
from file_server import file_server

from fireact_ray.core.errors import DataError, InputError
from fireact_ray.core.storage.part_file import part_file
from fireact_ray.tasks.fetching.download import Policy, download
from fireact_ray.tasks.fetching.sources import RemoteFile

pytestmark = pytest.mark.slow

CONTENT = bytes(range(256)) * 5000  # 1.28 MB
SHA256 = hashlib.sha256(CONTENT).hexdigest()
QUICK = Policy(read_timeout_s=5, max_idle_rounds=2, first_delay_s=0.0)


def released(*urls, sha256=SHA256, size=1_280_000):
    return RemoteFile("file.json", urls, size, sha256)


def unknown(*urls):
    return RemoteFile("file.json", urls)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def got(folder, remote):
    digest = download(remote, folder / "file.json", QUICK)
    assert digest == SHA256
    assert (folder / "file.json").read_bytes() == CONTENT
    assert names_in(folder) == ["file.json"]


def refused(folder, remote, error=DataError):
    with pytest.raises(error) as caught:
        download(remote, folder / "file.json", QUICK)
    assert not (folder / "file.json").exists()
    return str(caught.value)


def test_the_file_arrives_whole_and_nothing_else_is_left(tmp_path):
    with file_server(CONTENT) as server:
        got(tmp_path, released(server.url))
    assert server.ranges == [None]


@pytest.mark.parametrize("make", [released, unknown])
def test_a_broken_download_goes_on_where_it_broke(tmp_path, make):
    with file_server(CONTENT, "cut 1000000", "cut 200000") as server:
        got(tmp_path, make(server.url))
    assert server.ranges == [None, "bytes=1000000-", "bytes=1200000-"]


def test_a_body_of_unknown_length_is_held_against_the_known_one(tmp_path):
    with file_server(CONTENT, "unsized 1000000") as server:
        got(tmp_path, released(server.url))
    assert server.ranges == [None, "bytes=1000000-"]


def test_so_does_that_of_a_command_that_was_killed(tmp_path):
    (tmp_path / "file.json.part").write_bytes(CONTENT[:500_000])
    with file_server(CONTENT) as server:
        got(tmp_path, released(server.url))
    assert server.ranges == ["bytes=500000-"]


def test_a_part_that_is_whole_is_not_asked_for_again(tmp_path):
    (tmp_path / "file.json.part").write_bytes(CONTENT)
    with file_server(CONTENT) as server:
        got(tmp_path, released(server.url))
    assert server.ranges == []


def test_a_whole_part_of_unknown_length_is_known_by_a_416(tmp_path):
    (tmp_path / "file.json.part").write_bytes(CONTENT)
    with file_server(CONTENT) as server:
        got(tmp_path, released(server.url, size=None))
    assert server.ranges == [f"bytes={len(CONTENT)}-"]


@pytest.mark.parametrize("fault", ["no range", "from 0", "plain range"])
def test_the_rest_goes_where_the_server_says_that_it_belongs(tmp_path, fault):
    with file_server(CONTENT, "cut 1000000", fault) as server:
        got(tmp_path, released(server.url))
    assert len(server.ranges) == 2


def test_a_part_of_nowhere_is_not_taken(tmp_path):
    with file_server(CONTENT, "cut 1000000", "nowhere") as server:
        got(tmp_path, released(server.url))
    assert server.ranges == [None, "bytes=1000000-", None]


def test_without_a_checksum_the_rest_is_only_taken_of_the_same_file(tmp_path):
    with file_server(CONTENT[:-1], "cut 1000000", "status 404") as server:
        refused(tmp_path, unknown(server.url))
        server.content, server.etag = CONTENT, '"2"'
        got(tmp_path, unknown(server.url))
    assert server.ranges == [None, "bytes=1000000-", "bytes=1000000-"]


def test_the_rest_of_a_changed_file_is_not_taken_of_a_server_that_does_not_know_if_range(tmp_path):
    with file_server(bytes(1_280_000), "cut 1000000", "status 404") as server:
        refused(tmp_path, unknown(server.url))
        server.content, server.etag, server.faults = CONTENT, '"2"', ["any range"]
        got(tmp_path, unknown(server.url))
    assert server.ranges == [None, "bytes=1000000-", "bytes=1000000-", None]


def test_and_of_a_server_that_does_not_say_not_at_all(tmp_path):
    with file_server(CONTENT, "cut 1000000", etag=None) as server:
        got(tmp_path, unknown(server.url))
    assert server.ranges == [None, None]


def test_a_part_of_something_else_is_thrown_away_once_the_checksum_shows_it(tmp_path):
    (tmp_path / "file.json.part").write_bytes(b"x" * 500_000)
    with file_server(CONTENT) as one, file_server(CONTENT) as other:
        got(tmp_path, released(one.url, other.url))
    assert (one.ranges, other.ranges) == (["bytes=500000-"], [None])


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        ("status 404", "HTTP 404"),
        ("status 403", "HTTP 403"),
        ("page", "it sends a web page instead of the file"),
        ("sends error", "it offers 5 bytes, and the file has 1,280,000"),
        ("offers 1279999", "it offers 1,279,999 bytes, and the file has 1,280,000"),
        ("packed", "it sends the file packed, though asked not to"),
        ("other", "it sent another file: SHA-256 "),
        ("to ftp://127.0.0.1/file", "it sends on to an address that is none (ftp:)"),
    ],
)
def test_a_url_that_has_not_the_file_is_left_for_the_next_one(tmp_path, fault, problem):
    with file_server(CONTENT, fault, fault) as bad, file_server(CONTENT) as good:
        assert f"{bad.url}: {problem}" in refused(tmp_path, released(bad.url))
        got(tmp_path, released(bad.url, good.url))
    assert len(bad.ranges) == 2


@pytest.mark.parametrize(
    ("text", "thing"),
    [
        ("<!DOCTYPE html><html>Sign in", "a web page"),
        ("\n<HTML>Sign in", "a web page"),
        ("<?xml version='1.0'?><Error>AccessDenied</Error>", "XML"),
        ("version https://git-lfs.github.com/spec/v1", "a pointer of Git LFS"),
    ],
)
def test_what_servers_send_instead_is_no_file_even_where_nothing_is_known_of_it(tmp_path, text, thing):
    with file_server(CONTENT, f"sends {text}") as server:
        assert f"it sends {thing} instead of the file" in refused(tmp_path, unknown(server.url))
    assert names_in(tmp_path) == []


def test_an_empty_file_is_none(tmp_path):
    with file_server(b"") as server:
        assert f"{server.url}: it sends an empty file" in refused(tmp_path, unknown(server.url))
    assert names_in(tmp_path) == []


def test_redirects_are_followed_but_not_for_ever(tmp_path):
    with file_server(CONTENT) as server:
        server.faults = [f"to {server.url}", "to /file.json"]
        got(tmp_path, released(server.url))
        (tmp_path / "file.json").unlink()
        server.faults = [f"to {server.url}"] * 9
        assert "more than 5 redirects" in refused(tmp_path, released(server.url))


def test_passing_trouble_is_waited_out_and_lasting_trouble_ends_with_what_came(tmp_path):
    with file_server(CONTENT, "status 503", "cut 1000000", "status 503") as server:
        got(tmp_path, released(server.url))
        (tmp_path / "file.json").unlink()
        server.faults = ["cut 1000000", *["status 503"] * 9]
        message = refused(tmp_path, released(server.url))
    assert "HTTP 503" in message
    assert "1,000,000 bytes of it are kept: the same command goes on there" in message
    assert (tmp_path / "file.json.part").stat().st_size == 1_000_000


def test_a_host_that_is_not_there_is_named(tmp_path):
    with file_server(CONTENT) as server:
        pass
    assert "connection refused (127.0.0.1:" in refused(tmp_path, released(server.url))


def test_two_commands_do_not_write_one_file(tmp_path):
    with part_file(tmp_path / "file.json"), file_server(CONTENT) as server:
        message = refused(tmp_path, released(server.url), InputError)
        assert server.ranges == []
    assert "file.json.part is being written by another command" in message
