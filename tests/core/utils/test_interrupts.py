"""Interrupts: each ends the command, at once or at the end of a wait, whatever libraries do with signals."""

import importlib
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from contextlib import suppress

import pytest
from fakes import question

from fireact_ray.cli.app import app
from fireact_ray.cli.main import run_guarded
from fireact_ray.core.errors import DataError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import write_trajectories
from fireact_ray.core.types import Score, StopReason, Trajectory
from fireact_ray.core.utils.interrupts import heeded, interrupts_heeded, interrupts_wait

pytestmark = pytest.mark.slow

INTERRUPTS = [signal.SIGINT, signal.SIGTERM]
HOW_TO_GO_ON = "Interrupted. Nothing finished is lost: run the same command again to go on.\n"


@pytest.fixture(params=INTERRUPTS)
def number(request):
    """As in a command: both raise KeyboardInterrupt."""
    before = {each: signal.signal(each, signal.default_int_handler) for each in INTERRUPTS}
    yield request.param
    for each, handler in before.items():
        signal.signal(each, handler)


def come(number):
    os.kill(os.getpid(), number)


def come_into_a_callback(number):
    """An exception of a callback goes nowhere."""
    with suppress(KeyboardInterrupt):
        come(number)


def test_an_interrupt_takes_effect_at_the_end_of_a_wait(number):
    reached = []
    with pytest.raises(KeyboardInterrupt), interrupts_wait() as interrupted:
        reached.append(interrupted())
        come(number)
        reached.append(interrupted())
    assert reached == [False, True]
    assert signal.getsignal(number) is signal.default_int_handler


def test_an_interrupt_that_a_library_has_lost_ends_its_steps_at_the_next_one(number):
    def steps():
        yield 1
        come_into_a_callback(number)
        yield 2

    done = []
    with pytest.raises(KeyboardInterrupt), interrupts_heeded():
        for step in heeded(steps()):
            done.append(step)
        done.append(3)
    assert done == [1]


def test_the_second_interrupt_does_not_wait(number):
    with pytest.raises(KeyboardInterrupt), interrupts_wait():
        come(number)
        come(number)
        pytest.fail("it went on")


def test_a_wait_is_interrupted_whatever_handler_was_there(number):
    heard = []
    signal.signal(number, lambda *_: heard.append("a library's, from an earlier stage"))
    with pytest.raises(KeyboardInterrupt), interrupts_wait():
        come(number)
    assert heard == []


def test_a_handler_that_a_library_installs_meanwhile_goes_with_the_wait(number):
    with interrupts_wait():
        signal.signal(number, lambda *_: None)
    assert signal.getsignal(number) is signal.default_int_handler


def test_an_error_by_what_was_interrupted_gives_way_to_the_interrupt(number):
    with pytest.raises(KeyboardInterrupt) as raised, interrupts_wait():
        come(number)
        raise RuntimeError("the actor died")
    assert isinstance(raised.value.__context__, RuntimeError)


def test_an_error_without_an_interrupt_is_itself(number):
    with pytest.raises(RuntimeError, match="alone"), interrupts_wait():
        raise RuntimeError("alone")


IN_THE_BACKGROUND = """
import fcntl, os, signal, sys, termios
from fireact_ray.cli.main import run_guarded
from fireact_ray.core.utils.interrupts import interrupts_wait

if os.isatty(0):
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
number = int(sys.argv[1])
signal.signal(number, signal.SIG_IGN)

def action():
    with interrupts_wait():
        signal.signal(number, signal.SIG_IGN if sys.argv[2] == "stays" else signal.default_int_handler)
    os.kill(os.getpid(), number)
    print("went on")

run_guarded(action)
"""


def in_the_background(number, handler, **options):
    """What a command of its own session says, whose shell had the signal ignored. `handler`: whether a library takes
    it meanwhile."""
    command = [sys.executable, "-c", IN_THE_BACKGROUND, str(int(number)), handler]
    return subprocess.run(command, capture_output=True, text=True, start_new_session=True, **options)


@pytest.mark.parametrize("handler", ["stays", "is taken by a library"])
def test_sigint_ends_a_command_that_was_started_in_the_background_without_a_terminal(handler):
    ended = in_the_background(signal.SIGINT, handler, stdin=subprocess.DEVNULL)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", HOW_TO_GO_ON)


@pytest.mark.parametrize("handler", ["stays", "is taken by a library"])
def test_in_the_background_of_a_terminal_sigint_stays_ignored_and_what_interrupts_is_said(handler):
    ours, its = pty.openpty()
    try:
        ended = in_the_background(signal.SIGINT, handler, stdin=its)
    finally:
        os.close(ours)
        os.close(its)
    assert (ended.returncode, ended.stdout) == (0, "went on\n")
    assert re.search(r"in the background, where Ctrl-C does nothing: kill \d+ interrupts it\n$", ended.stderr)


def test_a_sigterm_that_is_ignored_stays_so():
    ended = in_the_background(signal.SIGTERM, "stays", stdin=subprocess.DEVNULL)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "went on\n", "")


def test_an_interrupt_that_a_callback_swallowed_ends_the_next_wait(number):
    reached = []
    with pytest.raises(KeyboardInterrupt), interrupts_heeded():
        come_into_a_callback(number)
        with interrupts_wait() as interrupted:
            reached.append(interrupted())
        reached.append("the next stage")
    assert reached == [True]


def test_an_interrupt_that_was_swallowed_ends_the_command_at_the_latest(number):
    with pytest.raises(KeyboardInterrupt), interrupts_heeded():
        come_into_a_callback(number)


def test_what_a_wait_raised_ends_the_command_even_where_it_is_swallowed(number):
    with pytest.raises(KeyboardInterrupt), interrupts_heeded(), suppress(KeyboardInterrupt), interrupts_wait():
        come(number)


def test_what_came_to_one_command_does_not_end_the_next(number):
    with pytest.raises(KeyboardInterrupt), interrupts_heeded():
        come(number)
    with interrupts_heeded(), interrupts_wait() as interrupted:
        assert not interrupted()


def test_what_is_ended_by_an_interrupt_may_go_on_to_its_end(number):
    """As serving does."""
    with interrupts_heeded():
        with suppress(KeyboardInterrupt), interrupts_heeded():
            come(number)
        with interrupts_wait() as interrupted:
            assert not interrupted()


def test_in_another_thread_a_wait_changes_no_handler(number):
    def wait():
        with interrupts_wait():
            found.append(signal.getsignal(number))

    found = []
    thread = threading.Thread(target=wait)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]


ENDS = {
    "at once": lambda: None,
    "and an error of the library": lambda: (_ for _ in ()).throw(RuntimeError("the actor died")),
    "and an error of ours": lambda: (_ for _ in ()).throw(DataError("12 rows are pending")),
    "and an exit that says that all went well": lambda: (_ for _ in ()).throw(SystemExit(0)),
    "and one as typer makes it": lambda: (_ for _ in ()).throw(SystemExit(130)),
}


@pytest.mark.parametrize("end", ENDS)
def test_an_interrupted_command_exits_with_130_however_its_action_ends(number, end, capsys):
    def action():
        come_into_a_callback(number)
        ENDS[end]()

    with pytest.raises(SystemExit) as ended:
        run_guarded(action)
    assert ended.value.code == 130
    assert capsys.readouterr().err.endswith(HOW_TO_GO_ON)
    assert signal.getsignal(number) is signal.default_int_handler


COMMANDS = {
    "ask": (["ask", "demo", "Who?"], "fireact_ray.recipe.ask.ask"),
    "lint": (["lint", "rows.json"], "fireact_ray.cli.lint.lint_path"),
    "export": (["export", "runs/x", "--format=chat", "--out=y"], "fireact_ray.stages.export_file.export"),
    "show": (["show", "runs/x"], "fireact_ray.cli.show.show"),
    "status": (["status", "runs/x", "--watch"], "fireact_ray.cli.status.watch_status"),
    "doctor": (["doctor", "runs/x"], "fireact_ray.rollouts.audit.audit"),
    "import": (["import", "demo", "rows.json"], "fireact_ray.stages.import_file.import_file"),
    "plan": (["plan", "demo"], "fireact_ray.stages.forecast.forecast_costs"),
    "convert": (["convert", "demo"], "fireact_ray.stages.convert.choose_rows"),
}


def come_in_a_wait(number):
    with interrupts_wait():
        come(number)


@pytest.mark.parametrize("come", [come, come_in_a_wait])
@pytest.mark.parametrize(
    "command", [pytest.param(name, marks=pytest.mark.ray if "stages" in COMMANDS[name][1] else ()) for name in COMMANDS]
)
def test_each_command_that_runs_in_this_process_exits_with_130(number, command, come, capsys, monkeypatch, tmp_path):
    arguments, where = COMMANDS[command]
    module, _, name = where.rpartition(".")
    monkeypatch.setattr(importlib.import_module(module), name, lambda *_, **__: come(number))
    monkeypatch.chdir(tmp_path)
    if command == "convert":
        run_with_a_row(tmp_path)
    with pytest.raises(SystemExit) as ended:
        run_guarded(lambda: app(arguments))
    assert ended.value.code == 130
    assert capsys.readouterr().err.endswith(HOW_TO_GO_ON)


def run_with_a_row(folder):
    row = Trajectory("k", question(), "react", "m", 0, (), StopReason.FINISHED, Score(1.0, 1.0))
    write_trajectories(Folder(f"{folder}/runs/demo/trajectories"), [row], "w")
