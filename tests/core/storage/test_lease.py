"""Two commands in one run folder: the second is refused while the first lives, wherever that lives."""

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import finished_trajectory
from pyarrow import fs

from fireact_ray.core.errors import DataError, InputError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.lease import Owner, holder, leased, run_lease
from fireact_ray.core.storage.lease_file import FILE, FileLease
from fireact_ray.core.storage.trajectories import write_trajectories
from fireact_ray.core.utils.interrupts import interrupts_heeded
from fireact_ray.core.utils.processes import is_alive, this_process
from fireact_ray.recipe.loader import load_recipe

ELSEWHERE = replace(this_process(), host="node-7", place="another boot", pid=4242)


class Clock:
    """Time passes when somebody waits; `at`: what happens when."""

    def __init__(self, at=None):
        self.now, self.at = 0.0, dict(at or {})

    def wait(self, seconds: float) -> None:
        self.now += seconds
        for moment in [moment for moment in self.at if moment <= self.now]:
            self.at.pop(moment)()


@pytest.fixture
def run(tmp_path) -> Folder:
    return Folder(str(tmp_path / "runs" / "r"))


def left_by(run: Folder, process, beats: int = 0) -> None:
    run.write(FILE, Owner("x", "fireact train", process, "2026-01-01 00:00:00 UTC").to_json(beats))


def in_another_process(run: Folder) -> subprocess.Popen:
    """A command that works in the folder until it is killed."""
    code = (
        "import sys, time; from fireact_ray.core.storage.lease import run_lease\n"
        "from fireact_ray.core.storage.folder import Folder\n"
        f"with run_lease(Folder({run.uri!r}), 'fireact generate'): print('there', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "there\n"
    return process


def test_a_second_command_is_refused_with_who_where_and_what_to_do_until_the_first_is_killed(run):
    first = in_another_process(run)
    try:
        with pytest.raises(InputError) as refused, run_lease(run, "fireact convert"):
            raise AssertionError("two at once")
        assert f"`fireact generate` (pid {first.pid} on {os.uname().nodename})" in str(refused.value)
        assert f"kill {first.pid}" in str(refused.value)
        assert f"since {holder(run).since}" in str(refused.value)
        os.kill(first.pid, signal.SIGKILL)
        os.waitid(os.P_PID, first.pid, os.WEXITED | os.WNOWAIT)  # dead, and still in the table of processes
        with run_lease(run, "fireact convert", wait=pytest.fail):
            assert holder(run).command == "fireact convert"
    finally:
        first.kill()
        first.wait()
        first.stdout.close()


def test_a_later_process_of_the_same_pid_does_not_keep_a_dead_ones_lease(run):
    left_by(run, replace(this_process(), started="1"))
    with run_lease(run, "fireact generate", wait=pytest.fail):
        assert holder(run).process == this_process()


def test_a_stage_within_a_stage_shares_its_lease_and_it_goes_with_the_outer_one(tmp_path):
    seen = []

    @leased("fireact convert")
    def inner(recipe):
        seen.append(holder(Folder(recipe.run_dir)).command)

    @leased("fireact run")
    def outer(recipe):
        inner(recipe)
        inner(recipe)

    outer(load_recipe("demo", [f"output_dir={tmp_path}/runs"]))
    assert seen == ["fireact run", "fireact run"]
    assert list(tmp_path.iterdir()) == [], "folders that were made for the lease alone go with it"


def test_another_thread_of_the_same_process_is_another_command(run):
    errors = []

    def second() -> None:
        try:
            with run_lease(run, "fireact train"):
                pass
        except InputError as error:
            errors.append(str(error))

    with run_lease(run, "fireact generate"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert "`fireact generate`" in errors[0]


def test_an_owner_on_another_host_holds_the_folder_as_long_as_it_gives_signs_of_life(run):
    left_by(run, ELSEWHERE)
    clock = Clock({20: lambda: left_by(run, ELSEWHERE, beats=1)})
    refused = pytest.raises(InputError, match=r"`fireact train` \(pid 4242 on node-7\) is at work there since 2026")
    with refused, run_lease(run, "fireact train", wait=clock.wait):
        pass
    assert clock.now == 20
    assert holder(run).process == ELSEWHERE


def test_an_owner_on_another_host_without_a_sign_of_life_for_90_s_is_dead(run):
    left_by(run, ELSEWHERE)
    clock = Clock()
    with run_lease(run, "fireact train", wait=clock.wait):
        assert clock.now == 90
        assert holder(run).process == this_process()


def test_an_owner_on_another_host_that_ends_leaves_the_folder_at_once(run):
    left_by(run, ELSEWHERE)
    clock = Clock({3: lambda: run.delete(FILE)})
    with run_lease(run, "fireact train", wait=clock.wait):
        assert clock.now == 3


def test_a_command_that_comes_while_another_one_looks_is_not_overrun(run):
    """It looked for a sign of life of a third, and found none."""
    left_by(run, ELSEWHERE)
    clock = Clock({90: lambda: left_by(run, this_process())})
    with pytest.raises(InputError, match=f"pid {os.getpid()}"), run_lease(run, "fireact train", wait=clock.wait):
        pass


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"id": 1}', b'{"process": 3}', b"\xff\xfe"])
def test_a_damaged_lease_is_watched_like_one_of_another_host(run, content):
    run.write(FILE, content)
    clock = Clock()
    with run_lease(run, "fireact train", wait=clock.wait):
        assert clock.now == 90


def test_on_a_filesystem_without_locks_the_file_that_stays_decides(run, monkeypatch):
    """Two wrote at once: the second write replaced the first."""
    folders = Path(run.uri)
    remote = Folder("hdfs://bucket/r")
    monkeypatch.setattr(
        Folder, "_resolve", lambda folder: (fs.LocalFileSystem(), folder.uri.replace("hdfs:/", str(folders)))
    )
    clock = Clock({2: lambda: left_by(remote, ELSEWHERE)})
    with pytest.raises(InputError, match="pid 4242 on node-7"), run_lease(remote, "fireact train", wait=clock.wait):
        pass
    assert holder(remote).process == ELSEWHERE


def test_who_lives_here_is_looked_up_and_elsewhere_nobody_can_tell():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    child.communicate()
    here = this_process()
    assert is_alive(here) is True
    assert is_alive(replace(here, pid=child.pid)) is False
    assert is_alive(replace(here, started="0")) is False
    assert is_alive(ELSEWHERE) is None


def test_a_lease_that_was_taken_over_stays_with_its_new_owner(run):
    with run_lease(run, "fireact train"):
        left_by(run, ELSEWHERE)
    assert json.loads(run.read(FILE))["process"]["host"] == "node-7"


@pytest.mark.parametrize("handler", [signal.default_int_handler, signal.SIG_IGN], ids=["heeded", "ignored"])
def test_whose_folder_is_taken_meanwhile_stops_also_where_a_shell_has_sigint_ignored(run, monkeypatch, handler):
    monkeypatch.setattr("fireact_ray.core.storage.lease.RENEWED_S", 0.01)
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(KeyboardInterrupt), interrupts_heeded(), run_lease(run, "fireact train"):
            signal.signal(signal.SIGINT, handler)
            left_by(run, ELSEWHERE)
            threading.Event().wait(20)
            pytest.fail("it went on")
    finally:
        signal.signal(signal.SIGINT, before)
    assert json.loads(run.read(FILE))["process"]["host"] == "node-7"


def test_a_run_folder_that_cannot_be_one_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    refused = pytest.raises(DataError, match=r"lease\.json: cannot be written \(.*\)")
    with refused, run_lease(Folder(str(tmp_path / "file" / "r")), "fireact train"):
        pass


def test_two_that_watch_a_dead_owner_do_not_both_follow_it(run):
    """The other one was a moment faster: it wrote after the last look."""
    left_by(run, replace(this_process(), started="1"))

    def dead(process):
        left_by(run, ELSEWHERE)
        return False

    with pytest.raises(InputError, match="node-7"), run_lease(run, "fireact train", alive=dead):
        pass


def test_what_only_reads_is_not_refused(run):
    from rich.console import Console

    from fireact_ray.cli.status import show_status

    run.write("recipe.yaml", "name: r")
    write_trajectories(run / "trajectories", [finished_trajectory()], "w")
    with run_lease(run, "fireact generate"):
        show_status(run, Console(quiet=True))
        assert holder(run).command == "fireact generate"


def test_an_interrupt_right_behind_the_writing_leaves_no_lease(run, monkeypatch):
    """On a filesystem without locks, where a command waits there."""
    folders = Path(run.uri)
    remote = Folder("hdfs://bucket/r")
    monkeypatch.setattr(
        Folder, "_resolve", lambda folder: (fs.LocalFileSystem(), folder.uri.replace("hdfs:/", str(folders)))
    )

    def interrupted(seconds):
        assert holder(remote) is not None
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), run_lease(remote, "fireact train", wait=interrupted):
        pass
    assert holder(remote) is None


def test_an_interrupt_while_the_lease_is_let_go_leaves_no_lease(run, monkeypatch):
    is_letting_go, is_interrupted, gone = threading.Event(), threading.Event(), threading.Event()

    def slowly(file, seen):
        is_letting_go.set()
        assert is_interrupted.wait(30)
        file.run.delete(FILE)
        gone.set()

    def heed(number, frame):
        if not is_interrupted.is_set():
            is_interrupted.set()
            raise KeyboardInterrupt

    def interrupt():
        assert is_letting_go.wait(30)
        while not is_interrupted.wait(0.1):  # a signal just before the main thread begins to wait does not wake it
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    before = signal.signal(signal.SIGINT, heed)
    monkeypatch.setattr(FileLease, "remove", slowly)
    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    try:
        with pytest.raises(KeyboardInterrupt), run_lease(run, "fireact train"):
            pass
        interrupting.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert gone.wait(30)
    assert holder(run) is None
