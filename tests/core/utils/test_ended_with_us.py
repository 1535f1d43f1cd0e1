"""A process is killed; what it had started, and what that had, is found dead."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from commands import until

pytestmark = pytest.mark.slow

_SLEEPS = "import time; os.write(1, b'%d\\n' % os.getpid()); time.sleep(600)"
GRANDCHILD = f"import os; {_SLEEPS}"
CHILD = f"import os, subprocess, sys; subprocess.Popen([sys.executable, '-Sc', {GRANDCHILD!r}]); {_SLEEPS}"
PARENT = f"""
import os, subprocess, sys
from fireact_ray.core.utils.ended_with_us import EndedWithUs

earlier = subprocess.Popen([sys.executable, "-Sc", {GRANDCHILD!r}])
kept = EndedWithUs()
child = subprocess.Popen([sys.executable, "-Sc", {CHILD!r}], start_new_session=True)
if sys.argv[1] == "closes":
    sys.stdin.readline()
    kept.close()
{_SLEEPS}
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_what_a_killed_process_has_started_ends_to_the_last_but_not_what_it_had_before():
    parent = subprocess.Popen([sys.executable, "-c", PARENT, "dies"], stdout=subprocess.PIPE, text=True)
    family = {int(parent.stdout.readline()) for _ in range(4)} - {parent.pid}
    assert len(family) == 3
    parent.kill()
    parent.wait()
    assert until(lambda: sum(map(alive, family)) == 1, 300)
    (earlier,) = filter(alive, family)
    assert Path(f"/proc/{earlier}/environ").read_bytes().find(b"FIREACT_ENDS_WITH") == -1
    os.kill(earlier, signal.SIGKILL)


def test_what_is_closed_ends_what_it_stands_for_and_leaves_the_process_alone():
    asked = [sys.executable, "-c", PARENT, "closes"]
    parent = subprocess.Popen(asked, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    family = {int(parent.stdout.readline()) for _ in range(3)}
    parent.stdin.write("now\n")
    parent.stdin.flush()
    assert int(parent.stdout.readline()) == parent.pid  # closed, it goes on
    (earlier,) = filter(alive, family)
    parent.kill()
    parent.wait()
    assert alive(earlier)
    os.kill(earlier, signal.SIGKILL)
