from dataclasses import replace

import pytest

from fireact_ray.core.storage.folder import Folder
from fireact_ray.rollouts.progress import LiveProgress, Progress, read_progress

PROGRESS = Progress("generate", 1000.0, 2000.0, 100, 20, 30, 25, 61.25, 4980.0, True)


def test_a_run_that_goes_on_is_read_from_elsewhere_while_it_runs_and_after_its_end(tmp_path):
    home = Folder(str(tmp_path))
    with LiveProgress("generate", home, n_rows=80, n_before=20) as progress:
        begun = read_progress(home)
        assert begun == replace(begun, label="generate", planned=100, before=20, done=0, accepted=0, running=True)
        progress.set(3, 2)
    ended = read_progress(home)
    assert (ended.done, ended.accepted, ended.running, ended.eta_s) == (3, 2, False, None)


@pytest.mark.parametrize(
    ("progress", "now", "silent_s"),
    [(PROGRESS, 2060.0, None), (PROGRESS, 2061.0, 61.0), (replace(PROGRESS, running=False), 9000.0, None)],
)
def test_a_run_is_silent_after_a_minute_without_a_sign_of_life_unless_it_ended(progress, now, silent_s):
    assert progress.silent_for_s(now) == silent_s
    assert progress.is_live(now) is (progress.running and silent_s is None)


def test_a_run_that_never_wrote_its_progress_has_none(tmp_path):
    assert read_progress(Folder(str(tmp_path))) is None
