"""What the driver of a training writes is in the bucket afterwards, whatever becomes of its machine."""

import json
import time
from pathlib import Path

import pytest
from object_store import Door, door_to, object_store

from fireact_ray.core.errors import WriteFailed
from fireact_ray.core.storage import buckets
from fireact_ray.core.storage.folder import Folder
from fireact_ray.stages import followed_training
from fireact_ray.stages.followed_training import written_here

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def door():
    with object_store() as store, door_to(store.endpoint) as found:
        store.bucket("data")
        yield found


@pytest.fixture
def checkpoints(door: Door, monkeypatch, request) -> Folder:
    for name, value in {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", door.endpoint)
    monkeypatch.setattr(buckets, "_opened", {})
    monkeypatch.setattr(followed_training, "_FOLLOW_S", 0.02)
    door.trouble = lambda method, path: None
    door.asked.clear()
    return Folder(f"s3://data/{request.node.name}/checkpoints")


def contents(folder: Folder) -> dict[str, bytes]:
    return {file.name: folder.read(file.name) for file in folder.files_below("")}


def wait_for(folder: Folder, name: str, *, there: bool) -> None:
    until = time.monotonic() + 300
    while folder.exists(name) != there:
        assert time.monotonic() < until, "the follower brings what changes"
        time.sleep(0.02)


def test_a_folder_on_a_disk_is_written_to_itself(tmp_path):
    with written_here(Folder(str(tmp_path))) as here:
        assert here == tmp_path


def test_an_interrupted_driver_leaves_its_log_and_its_trackers_files_and_another_machine_goes_on_with_them(checkpoints):
    with pytest.raises(KeyboardInterrupt), written_here(checkpoints) as here:
        (here / "log.jsonl").write_text("1\n")
        (here / "trackers.json").write_text("{}")
        (here / "tensorboard" / "run").mkdir(parents=True)
        (here / "tensorboard" / "run" / "events.1").write_bytes(b"\x00")
        (here / ".trackers.json.tmp").write_text("half of it")
        raise KeyboardInterrupt
    left = {"log.jsonl": b"1\n", "tensorboard/run/events.1": b"\x00", "trackers.json": b"{}"}
    assert contents(checkpoints) == left
    with written_here(checkpoints) as here:
        assert sorted(path.name for path in here.iterdir()) == ["log.jsonl", "trackers.json"]
        with (here / "log.jsonl").open("a") as log:
            log.write("2\n")
    assert contents(checkpoints) == {**left, "log.jsonl": b"1\n2\n"}


def test_checkpoints_and_what_others_write_there_are_left_alone(checkpoints, door):
    (checkpoints / "checkpoint_1").write("state.pt", b"weights")
    checkpoints.write("inputs.json", "{}")
    checkpoints.write("checkpoint_manager_snapshot.json", "{}")
    before = contents(checkpoints)
    door.asked.clear()
    with written_here(checkpoints) as here:
        assert list(here.iterdir()) == []
    assert contents(checkpoints) == before
    assert {method for method, _ in door.asked} <= {"GET", "HEAD"}


def test_what_is_brought_while_it_is_made_is_brought_once_and_goes_when_it_is_gone_here(checkpoints, door):
    checkpoints.write("log.jsonl", "of an attempt that came to nothing\n")
    with written_here(checkpoints) as here:
        (here / "log.jsonl").replace(here / "log-before.jsonl")
        wait_for(checkpoints, "log-before.jsonl", there=True)
        wait_for(checkpoints, "log.jsonl", there=False)
        door.asked.clear()
    assert contents(checkpoints) == {"log-before.jsonl": b"of an attempt that came to nothing\n"}
    assert [method for method, _ in door.asked if method == "PUT"] == []


def test_a_bucket_that_takes_nothing_any_more_fails_the_training_and_hides_no_interrupt(checkpoints, door):
    def denied(method: str, path: str) -> str | None:
        return "denied" if method == "PUT" else None

    def write(here: Path) -> None:
        door.trouble = denied
        (here / "log.jsonl").write_text(json.dumps({"step": 1}))

    with pytest.raises(WriteFailed, match="AccessDenied"), written_here(checkpoints) as here:
        write(here)
    with pytest.raises(KeyboardInterrupt), written_here(checkpoints) as here:
        write(here)
        raise KeyboardInterrupt
