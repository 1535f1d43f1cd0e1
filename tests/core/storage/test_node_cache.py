import errno
import fcntl
import math
import os
import threading
from pathlib import Path

import pytest

from fireact_ray.core.errors import InputError
from fireact_ray.core.storage.node_cache import default_cache_dir, demand_writable, held, held_if_unused


def is_unused(folder: Path, since: float) -> bool:
    with held_if_unused(folder, since) as answer:
        return answer


def test_one_at_a_time_is_within_and_the_next_one_waits(tmp_path: Path):
    seen: list[str] = []

    def enter() -> None:
        with held(tmp_path, "the first"):
            seen.append("second")

    second = threading.Thread(target=enter)
    with held(tmp_path, "nobody"):
        second.start()
        second.join(timeout=0.2)
        seen.append("first")
    second.join(timeout=30)
    assert seen == ["first", "second"]


def test_what_is_in_use_or_was_used_since_is_not_unused(tmp_path: Path):
    with held(tmp_path / "a", "nobody"):
        assert not is_unused(tmp_path / "a", math.inf)
    used = (tmp_path / "a" / "lock").stat().st_mtime
    assert not is_unused(tmp_path / "a", used)
    assert is_unused(tmp_path / "a", used + 1)
    assert not is_unused(tmp_path / "never", math.inf)


def test_the_last_use_is_what_counts(tmp_path: Path):
    for _ in range(2):
        with held(tmp_path, "nobody"):
            pass
        used = (tmp_path / "lock").stat().st_mtime
        os.utime(tmp_path / "lock", (0, 0))
    assert used > 1e9


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(
        InputError, match=r"cannot write .*/file/below \(.*\): set FIREACT_CACHE to a folder on a local"
    ):
        demand_writable(tmp_path / "file" / "below")


def test_a_lock_that_cannot_be_opened_is_one_sentence(tmp_path: Path):
    (tmp_path / "lock").mkdir()
    with pytest.raises(InputError, match=r"cannot open .*/lock \(.*\): set FIREACT_CACHE"), held(tmp_path, ""):
        pass


def test_a_disk_without_locks_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As some network storage has none."""

    def no_locks(*_) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with (
        pytest.raises(InputError, match=r"cannot lock .*/lock \(No locks available\): set FIREACT_CACHE"),
        held(tmp_path, ""),
    ):
        pass


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FIREACT_CACHE", "/a/disk")
    assert default_cache_dir() == Path("/a/disk")
    monkeypatch.delenv("FIREACT_CACHE")
    monkeypatch.setenv("HOME", "/home/me")
    assert default_cache_dir() == Path("/home/me/.cache/fireact_ray")
