"""What workers find about each other before their first step: real process groups, on one machine."""

import json
from datetime import timedelta

import pytest
import torch
import torch.distributed as dist
from process_group import together

from fireact_ray.core.errors import FireActError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.stages import worker_checks
from fireact_ray.stages.worker_checks import check_workers

pytestmark = pytest.mark.torch

CPU = torch.device("cpu")


@pytest.fixture
def dataset(tmp_path) -> Folder:
    folder = tmp_path / "dataset"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps({"fingerprint": "d1"}))
    return Folder(str(folder))


@pytest.fixture
def shared(tmp_path) -> Folder:
    (tmp_path / "shared").mkdir()
    return Folder(str(tmp_path / "shared"))


def said(check) -> str | None:
    try:
        check()
    except FireActError as error:
        return f"{type(error).__name__}: {error}"
    return None


def test_workers_that_see_the_same_begin_and_leave_no_probe(dataset, shared, tmp_path):
    def check(rank: int):
        return check_workers(dataset, "nano", shared, CPU, f"node-{rank}")

    assert together(check, 2, tmp_path) == [2, 2]
    assert list(shared.local_path.iterdir()) == []


def test_all_workers_end_with_the_sentence_about_the_one_that_finds_something_else(
    dataset, shared, tmp_path, monkeypatch
):
    monkeypatch.setattr(worker_checks, "_SEEN_S", 0.5)
    elsewhere = Folder(str(tmp_path / "elsewhere"))
    elsewhere.local_path.mkdir()

    def check(rank: int):
        base = "nano" if rank == 0 else str(tmp_path / "missing")
        mine = shared if rank == 0 else elsewhere
        other_base = said(lambda: check_workers(dataset, base, shared, CPU, f"node-{rank}"))
        other_folder = said(lambda: check_workers(dataset, "nano", mine, CPU, f"node-{rank}"))
        no_folder = said(lambda: check_workers(dataset, "nano", mine / "missing", CPU, f"node-{rank}"))
        return other_base, other_folder, no_folder

    first, second = together(check, 2, tmp_path)
    assert [text.replace(elsewhere.uri, shared.uri) for text in second] == list(first)
    other_base, other_folder, no_folder = first
    assert other_base.startswith("InputError: Workers see different base models: ")
    assert f"none (No folder {tmp_path}/missing. Name the folder of a base model" in other_base
    assert other_folder.startswith(
        f"InputError: Worker 0 on node-0 does not see in {shared.uri} what worker 1 on node-1 wrote"
    )
    assert no_folder.startswith(
        f"InputError: Worker 0 on node-0 cannot write to {shared.uri}/missing: No such file or directory."
    )


def test_a_worker_that_nobody_answers_says_so_within_its_time(dataset, shared, tmp_path, monkeypatch):
    monkeypatch.setattr(worker_checks, "_CONNECT_S", 0.5)

    def check(rank: int):
        if rank == 1:
            dist.distributed_c10d._get_default_store().wait(["over"], timedelta(seconds=600))
            return None
        text = said(lambda: check_workers(dataset, "nano", shared, CPU, "node-0"))
        dist.distributed_c10d._get_default_store().set("over", "1")
        return text

    alone, _ = together(check, 2, tmp_path)
    assert alone.startswith("TrainingError: The workers do not hear each other by gloo: no answer within 0 s.")
    assert "GLOO_SOCKET_IFNAME" in alone
