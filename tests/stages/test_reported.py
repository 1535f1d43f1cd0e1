"""Which of the checkpoints that Ray Train has put into a run folder a training goes on from."""

import json
import logging
import zlib
from pathlib import Path

import pytest

from fireact_ray.stages.reported import after_step, begin_session, newest_of_session

pytestmark = pytest.mark.torch  # which checkpoints import


def checkpoint(folder: Path, step: int, *, torn: bool = False) -> Path:
    """As a worker reports it. Names follow the time, as those of Ray Train do."""
    made = folder / f"checkpoint_2026-01-01_00-00-{step:02d}.0"
    made.mkdir(parents=True)
    content = b"weights of step %d" % step
    files = {"weights.safetensors": f"{zlib.crc32(content):08x}"}
    (made / "checkpoint.json").write_text(json.dumps({"step": step, "files": files}))
    (made / "weights.safetensors").write_bytes(content[:4] if torn else content)
    return made


def know(folder: Path, *checkpoints: Path) -> None:
    """Ray Train has polled these."""
    names = [{"checkpoint_dir_name": path.name} for path in checkpoints]
    (folder / "checkpoint_manager_snapshot.json").write_text(json.dumps({"checkpoint_results": names}))


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


def ours(path: Path) -> None:
    return None


def test_workers_that_begin_again_go_on_from_a_whole_checkpoint_that_ray_train_has_not_heard_of(tmp_path):
    steps = [checkpoint(tmp_path, step) for step in (3, 4, 5, 6)]
    know(tmp_path, *steps[:2])
    assert newest_of_session(tmp_path, None) == steps[3]


def test_a_half_of_one_that_ray_train_has_not_heard_of_goes(tmp_path):
    steps = [checkpoint(tmp_path, step, torn=step == 6) for step in (3, 4, 5, 6)]
    know(tmp_path, *steps[:2])
    assert newest_of_session(tmp_path, None) == steps[2]
    assert left(tmp_path) == [path.name for path in steps[:3]]


def test_a_torn_one_that_ray_train_manages_is_passed_over_with_a_warning_and_stays(tmp_path, caplog):
    steps = [checkpoint(tmp_path, step, torn=step == 6) for step in (5, 6)]
    know(tmp_path, *steps)
    with caplog.at_level(logging.WARNING):
        assert newest_of_session(tmp_path, None) == steps[0]
    assert caplog.messages == [
        f"checkpoint {steps[1]}: weights.safetensors is not what was written. The one before is used"
    ]
    assert left(tmp_path) == [path.name for path in steps]


def test_lost_workers_leave_no_more_than_two_that_ray_train_does_not_manage(tmp_path):
    steps = [checkpoint(tmp_path, step) for step in (1, 2, 3, 4)]
    assert newest_of_session(tmp_path, None) == steps[3]
    assert left(tmp_path) == [path.name for path in steps[2:]]


def test_where_there_is_none_it_begins_at_the_beginning(tmp_path):
    assert newest_of_session(tmp_path, None) is None
    assert begin_session(tmp_path, ours) is None


def test_a_session_sets_torn_and_foreign_ones_aside_with_a_warning_and_begins_from_the_one_before(tmp_path, caplog):
    steps = [checkpoint(tmp_path, step, torn=step == 6) for step in (4, 5, 6)]
    know(tmp_path, *steps)
    with caplog.at_level(logging.WARNING):
        begun = begin_session(tmp_path, lambda path: "dataset was 'a', is 'b'" if path == steps[1] else None)
    assert begun == steps[0]
    assert left(tmp_path) == sorted([steps[0].name, f"broken-{steps[2].name}", f"foreign-{steps[1].name}"])
    assert [line for line in caplog.messages if "dataset was 'a', is 'b'" in line]
    assert not (tmp_path / "checkpoint_manager_snapshot.json").exists()


def test_the_checkpoint_after_a_step_is_given_when_it_is_whole(tmp_path):
    steps = [checkpoint(tmp_path, step, torn=step == 6) for step in (5, 6)]
    assert after_step(tmp_path, 5) == steps[0]
    assert after_step(tmp_path, 6) is None
    assert after_step(tmp_path, 4) is None
