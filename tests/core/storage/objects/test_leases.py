"""Who works in a run folder of a bucket, and who only reads there."""

import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest
from fakes import finished_trajectory
from object_store import behind

from fireact_ray.core.errors import InputError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.lease import holder, run_lease
from fireact_ray.core.storage.lease_file import FILE, lease_file
from fireact_ray.core.storage.trajectories import write_trajectories

pytestmark = pytest.mark.slow


def in_another_thread_of_life(run: Folder):
    """A lease as another command would ask for it: this one's is not shared with it."""

    @contextmanager
    def asked():
        errors: list[BaseException] = []

        def ask() -> None:
            try:
                with run_lease(run, "fireact convert"):
                    pass
            except InputError as error:
                errors.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
        for error in errors:
            raise error
        yield

    return asked()


def test_a_second_command_in_a_folder_of_a_bucket_is_refused_while_the_first_lives(run):
    with run_lease(run, "fireact generate"):
        with pytest.raises(InputError, match="`fireact generate`"), in_another_thread_of_life(run):
            pass
        assert holder(run).command == "fireact generate"
    assert holder(run) is None
    with run_lease(run, "fireact convert", wait=pytest.fail):
        assert holder(run).command == "fireact convert"


def test_a_killed_commands_lease_is_taken_over(run):
    code = (
        "import os; from fireact_ray.core.storage.lease import run_lease\n"
        "from fireact_ray.core.storage.folder import Folder\n"
        f"with run_lease(Folder({run.uri!r}), 'fireact generate'): os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    assert holder(run).command == "fireact generate"
    with run_lease(run, "fireact convert", wait=pytest.fail):
        assert holder(run).command == "fireact convert"


def test_of_many_that_begin_at_once_one_gets_the_folder(run, door):
    there = behind(door, run)
    begin, got, refused = threading.Barrier(8), [], []
    release = threading.Event()

    def command(number: int) -> None:
        begin.wait()
        try:
            with run_lease(there, f"fireact {number}"):
                got.append(number)
                release.wait(30)
        except InputError:
            refused.append(number)
            if len(refused) == 7:
                release.set()

    threads = [threading.Thread(target=command, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(got), len(refused)) == (1, 7)


@pytest.mark.parametrize("trouble", ["lost", "busy", "reset"])
def test_a_lease_whose_answer_is_lost_is_still_held(run, door, trouble):
    """Sent again, the write is refused because of itself."""
    there, puts = behind(door, run), []

    def once(method, path):
        if method == "PUT" and path.endswith(f"/{FILE}"):
            puts.append(path)
            return trouble if len(puts) == 1 else None
        return None

    door.trouble = once
    with run_lease(there, "fireact generate", wait=lambda seconds: None):
        assert holder(there).command == "fireact generate"
    assert holder(there) is None


def test_a_lease_is_renewed_by_its_version_and_a_stolen_one_is_not(run):
    file = lease_file(run)
    assert file.replace(None, b"one", pytest.fail)
    first = file.read()
    assert file.replace(first, b"two", pytest.fail)
    assert not file.replace(first, b"three", pytest.fail)
    assert not file.replace(None, b"three", pytest.fail)
    file.remove(first)
    assert file.read().content == b"two"
    file.remove(file.read())
    assert file.read().is_free


def test_a_store_that_ignores_conditions_is_refused(run, door):
    there = behind(door, run)
    door.deaf = True
    refused = pytest.raises(InputError, match=r"ignores the conditions of writes \(If-None-Match\)")
    with refused, run_lease(there, "fireact generate"):
        pass
    assert holder(there) is None


def test_readers_neither_write_nor_are_refused(run, door, capsys):
    from rich.console import Console

    from fireact_ray.cli.status import show_status

    there = behind(door, run)
    there.write("recipe.yaml", "name: r")
    write_trajectories(there / "trajectories", [finished_trajectory()], "w")
    with run_lease(there, "fireact generate"):
        door.asked.clear()
        show_status(there, Console(quiet=True))
        assert {method for method, _ in door.asked} <= {"GET", "HEAD"}
