import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from fireact_ray.core.storage.scratch import scratch_folder


def aged(folder: Path) -> None:
    os.utime(folder, (1, 1))


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_folder_of_a_killed_process_is_swept_away_and_that_of_a_living_one_is_not(temporary):
    code = (
        f"import tempfile, time; tempfile.tempdir = {str(temporary)!r}\n"
        "from fireact_ray.core.storage.scratch import scratch_folder\n"
        "with scratch_folder('x-') as folder: (folder / 'f').touch(); print(folder, flush=True); time.sleep(600)"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    killed, living = (Path(process.stdout.readline().strip()) for process in processes)
    try:
        processes[0].send_signal(signal.SIGKILL)
        processes[0].wait()
        for folder in (killed, living):
            aged(folder)
        (temporary / "others").mkdir()
        with scratch_folder("x-") as mine:
            assert set(temporary.iterdir()) == {living, mine, temporary / "others"}
    finally:
        for process in processes:
            process.kill()
            process.wait()
            process.stdout.close()


def test_a_folder_that_is_just_being_made_is_left_alone(temporary):
    (temporary / "x-new").mkdir()
    with scratch_folder("x-"):
        assert (temporary / "x-new").exists()
