"""The command line in a fork of the tests' process: as in a process of its own, without the seconds of its imports."""

import logging
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

from fireact_ray.cli import app as cli


def fireact(*arguments: str, cwd=None) -> subprocess.CompletedProcess:
    """`fireact ...` in a fork of this process, in which no Ray runs."""
    with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
        if (pid := os.fork()) == 0:
            os._exit(_run_command(arguments, cwd, stdout.fileno(), stderr.fileno()))
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        stdout.seek(0)
        stderr.seek(0)
        return subprocess.CompletedProcess(arguments, code, stdout.read(), stderr.read())


def _run_command(arguments: tuple[str, ...], cwd, *output: int) -> int:
    """The exit code. Restores what the test runner has put in the place of files and handlers."""
    signal.alarm(600)
    for number, name in enumerate(("stdout", "stderr"), start=1):
        os.dup2(output[number - 1], number)
        setattr(sys, name, os.fdopen(number, "w", closefd=False))
    logging.getLogger().handlers.clear()
    os.chdir(cwd or Path.cwd())
    sys.argv = ["fireact", *arguments]
    code = 0
    try:
        cli.main()
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:  # noqa: BLE001 (nothing may get back into the fork's test session)
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code
