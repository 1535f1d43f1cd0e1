"""Which of the checkpoints that Ray Train has put into a run folder a training goes on from; on a disk, in a bucket."""

import json
import logging
import zlib

import pytest
from object_store import behind, door_to, object_store

from fireact_ray.core.storage import buckets
from fireact_ray.core.storage.buckets import StoreDenied
from fireact_ray.core.storage.folder import Folder
from fireact_ray.stages.reported import after_step, begin_session, drop_old, has_any, newest_of_session

pytestmark = pytest.mark.torch  # which checkpoints import


@pytest.fixture(scope="module")
def store():
    with object_store() as found:
        found.bucket("data")
        yield found


@pytest.fixture(params=["disk", pytest.param("bucket", marks=pytest.mark.slow)])
def folder(request, tmp_path, monkeypatch) -> Folder:
    if request.param == "disk":
        return Folder(str(tmp_path))
    return in_bucket(request, monkeypatch)


def in_bucket(request, monkeypatch) -> Folder:
    endpoint = request.getfixturevalue("store").endpoint
    given = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_ENDPOINT_URL": endpoint}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(buckets, "_opened", {})
    return Folder(f"s3://data/{request.node.name.partition('[')[0]}")


def checkpoint(folder: Folder, step: int, *, torn: bool = False) -> Folder:
    """As a worker reports it. Names follow the time, as those of Ray Train do."""
    made = folder / f"checkpoint_2026-01-01_00-00-{step:02d}.0"
    content = b"weights of step %d" % step
    files = {"weights.safetensors": f"{zlib.crc32(content):08x}"}
    made.write("checkpoint.json", json.dumps({"step": step, "files": files}))
    made.write("weights.safetensors", content[:4] if torn else content)
    return made


def know(folder: Folder, *checkpoints: Folder) -> None:
    """Ray Train has polled these."""
    names = [{"checkpoint_dir_name": one.name} for one in checkpoints]
    folder.write("checkpoint_manager_snapshot.json", json.dumps({"checkpoint_results": names}))


def ours(one: Folder) -> None:
    return None


def test_workers_that_begin_again_go_on_from_a_whole_checkpoint_that_ray_train_has_not_heard_of(folder):
    steps = [checkpoint(folder, step) for step in (3, 4, 5, 6)]
    know(folder, *steps[:2])
    assert newest_of_session(folder, None) == steps[3]


def test_a_half_of_one_that_ray_train_has_not_heard_of_goes(folder):
    steps = [checkpoint(folder, step, torn=step == 6) for step in (3, 4, 5, 6)]
    know(folder, *steps[:2])
    assert newest_of_session(folder, None) == steps[2]
    assert folder.folders() == [one.name for one in steps[:3]]


def test_a_torn_one_that_ray_train_manages_is_passed_over_with_a_warning_and_stays(folder, caplog):
    steps = [checkpoint(folder, step, torn=step == 6) for step in (5, 6)]
    know(folder, *steps)
    with caplog.at_level(logging.WARNING):
        assert newest_of_session(folder, None) == steps[0]
    assert caplog.messages == [
        f"checkpoint {steps[1].uri}: weights.safetensors is not what was written. The one before is used"
    ]
    assert folder.folders() == [one.name for one in steps]


def test_lost_workers_leave_no_more_than_two_that_ray_train_does_not_manage(folder):
    steps = [checkpoint(folder, step) for step in (1, 2, 3, 4)]
    assert newest_of_session(folder, None) == steps[3]
    assert folder.folders() == [one.name for one in steps[2:]]


def test_where_there_is_none_it_begins_at_the_beginning(folder):
    assert not has_any(folder)
    assert newest_of_session(folder, None) is None
    assert begin_session(folder, ours) is None


def test_a_session_sets_torn_and_foreign_ones_aside_with_a_warning_and_begins_from_the_one_before(folder, caplog):
    steps = [checkpoint(folder, step, torn=step == 6) for step in (4, 5, 6)]
    know(folder, *steps)
    with caplog.at_level(logging.WARNING):
        begun = begin_session(folder, lambda one: "dataset was 'a', is 'b'" if one == steps[1] else None)
    assert begun == steps[0]
    assert folder.folders() == sorted([steps[0].name, f"broken-{steps[2].name}", f"foreign-{steps[1].name}"])
    assert (folder / f"broken-{steps[2].name}").read("weights.safetensors") == b"weig"
    assert [line for line in caplog.messages if "dataset was 'a', is 'b'" in line]
    assert not folder.exists("checkpoint_manager_snapshot.json")


def test_the_second_broken_one_of_a_name_gets_a_name_of_its_own(folder):
    for _ in range(2):
        know(folder, checkpoint(folder, 6, torn=True))
        assert begin_session(folder, ours) is None
    name = "broken-checkpoint_2026-01-01_00-00-06.0"
    assert folder.folders() == [name, f"{name}-2"]


def test_between_sessions_the_newest_two_stay(folder):
    steps = [checkpoint(folder, step) for step in (1, 2, 3, 4)]
    drop_old(folder)
    assert folder.folders() == [one.name for one in steps[2:]]


def test_the_checkpoint_after_a_step_is_given_when_it_is_whole(folder):
    steps = [checkpoint(folder, step, torn=step == 6) for step in (5, 6)]
    assert after_step(folder, 5) == steps[0]
    assert after_step(folder, 6) is None
    assert after_step(folder, 4) is None


@pytest.mark.slow
@pytest.mark.parametrize("at", ["checkpoint.json", "weights.safetensors"])
def test_a_store_that_refuses_says_nothing_about_a_checkpoint(request, monkeypatch, at):
    folder = in_bucket(request, monkeypatch)
    checkpoint(folder, 6)
    with door_to(request.getfixturevalue("store").endpoint) as door:
        door.trouble = lambda method, path: "denied" if method == "GET" and path.endswith(at) else None
        with pytest.raises(StoreDenied):
            begin_session(behind(door, folder), ours)
    assert folder.folders() == ["checkpoint_2026-01-01_00-00-06.0"]
