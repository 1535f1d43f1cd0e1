"""A training for a bucket: what counts is there, whole, whatever becomes of the machine that trains."""

import json
import zlib
from pathlib import Path

import pytest
from object_store import Door, door_to, object_store

from fireact_ray.core.errors import WriteFailed
from fireact_ray.core.storage import buckets
from fireact_ray.core.storage.folder import Folder
from fireact_ray.stages import followed_training
from fireact_ray.stages.followed_training import worked_on_here

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def door():
    with object_store() as store, door_to(store.endpoint) as found:
        store.bucket("data")
        yield found


@pytest.fixture
def run(door: Door, monkeypatch, request, tmp_path) -> Folder:
    given = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_ENDPOINT_URL": door.endpoint}
    for name, value in {**given, "FIREACT_CACHE": str(tmp_path / "first-machine")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(buckets, "_opened", {})
    monkeypatch.setattr(followed_training, "_FOLLOW_S", 0.02)
    door.trouble = lambda method, path: None
    door.asked.clear()
    return Folder(f"s3://data/{request.node.name}")


def checkpoint(here: Folder, step: int, content: bytes = b"weights") -> Path:
    folder = here.local_path / "checkpoints" / f"checkpoint_{step:02}"
    folder.mkdir(parents=True)
    (folder / "state.pt").write_bytes(content)
    card = {"step": step, "files": {"state.pt": f"{zlib.crc32(content):08x}"}}
    (folder / "checkpoint.json").write_text(json.dumps(card))
    return folder


def names(run: Folder) -> list[str]:
    return [file.name for file in run.files_below("")]


def test_a_training_is_gone_on_with_by_another_machine_from_its_last_whole_checkpoint(run, monkeypatch, tmp_path):
    with pytest.raises(KeyboardInterrupt), worked_on_here(run) as here:
        checkpoint(here, 1)
        checkpoint(here, 2, b"later weights")
        (here.local_path / "checkpoints/log.jsonl").write_text("{}\n")
        (here.local_path / "checkpoints/checkpoint_manager_snapshot.json").write_text("{}")
        (checkpoint(here, 3) / "state.pt").write_text("half of it")
        raise KeyboardInterrupt
    assert names(run) == [
        "checkpoints/checkpoint_01/checkpoint.json",
        "checkpoints/checkpoint_01/state.pt",
        "checkpoints/checkpoint_02/checkpoint.json",
        "checkpoints/checkpoint_02/state.pt",
        "checkpoints/log.jsonl",
    ]
    (run / "checkpoints" / "checkpoint_04").write("state.pt", "whose upload was cut off")
    monkeypatch.setenv("FIREACT_CACHE", str(tmp_path / "second-machine"))
    with worked_on_here(run) as here:
        found = here.local_path / "checkpoints"
        assert sorted(path.name for path in found.iterdir()) == ["checkpoint_01", "checkpoint_02", "log.jsonl"]
        assert (found / "checkpoint_02/state.pt").read_bytes() == b"later weights"


def test_a_card_goes_up_last_and_old_checkpoints_go_when_a_newer_one_is_there(run, door):
    with worked_on_here(run) as here:
        old = checkpoint(here, 1)
        follower_saw(run, "checkpoint_01/checkpoint.json")
        for file in old.iterdir():
            file.unlink()
        old.rmdir()
        checkpoint(here, 2)
        model = here.local_path / "model"
        model.mkdir()
        for name in ("fireact.json", "adapter.safetensors", "zz.txt"):
            (model / name).write_text("{}")
    assert names(run) == [
        "checkpoints/checkpoint_02/checkpoint.json",
        "checkpoints/checkpoint_02/state.pt",
        "model/adapter.safetensors",
        "model/fireact.json",
        "model/zz.txt",
    ]
    puts = [path.rpartition("/")[2] for method, path in door.asked if method == "PUT"]
    assert puts[:2] == ["state.pt", "checkpoint.json"]
    assert puts[-1] == "fireact.json"


def test_what_is_left_of_an_earlier_try_on_this_machine_is_not_taken_for_the_buckets(run):
    with pytest.raises(RuntimeError), worked_on_here(run) as here:
        checkpoint(here, 1)
        raise RuntimeError
    for name in names(run):
        run.delete(name)
    with worked_on_here(run) as here:
        assert not (here.local_path / "checkpoints").exists()


def test_a_model_that_is_there_is_not_uploaded_again(run, door):
    (run / "model").write("fireact.json", "{}")
    (run / "model").write("adapter.safetensors", "weights")
    door.asked.clear()
    with worked_on_here(run) as here:
        assert [path.name for path in (here.local_path / "model").iterdir()] == ["fireact.json"]
    assert [method for method, _ in door.asked if method == "PUT"] == []


def test_a_bucket_that_takes_nothing_any_more_fails_the_training_and_hides_no_interrupt(run, door):
    def denied(method: str, path: str) -> str | None:
        return "denied" if method == "PUT" else None

    with pytest.raises(WriteFailed, match="AccessDenied"), worked_on_here(run) as here:
        door.trouble = denied
        checkpoint(here, 1)
    door.trouble = lambda method, path: None
    with pytest.raises(KeyboardInterrupt), worked_on_here(run) as here:
        door.trouble = denied
        checkpoint(here, 1)
        raise KeyboardInterrupt


def follower_saw(run: Folder, name: str) -> None:
    import time

    until = time.monotonic() + 20
    while not (run / "checkpoints").exists(name):
        assert time.monotonic() < until, "the follower brings what appears"
        time.sleep(0.02)
