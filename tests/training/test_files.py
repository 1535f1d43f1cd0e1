"""Folders that several workers write at once."""

import threading
from pathlib import Path

import pytest

from fireact_ray.training.files import whole_folder_of_all


def write_together(finals: list[Path]) -> None:
    together = threading.Barrier(len(finals), timeout=10)

    def work(rank: int) -> None:
        def wait() -> None:
            together.wait()

        with whole_folder_of_all(finals[rank], leads=rank == 0, wait=wait) as temporary:
            (temporary / f"part-{rank}").write_text("whole")

    workers = [threading.Thread(target=work, args=(rank,)) for rank in range(len(finals))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def test_workers_write_into_one_folder_that_is_there_when_all_have_written(tmp_path):
    final = tmp_path / "step-1"
    (tmp_path / ".step-1.tmp").mkdir()
    (tmp_path / ".step-1.tmp" / "left by a killed one").touch()
    write_together([final] * 3)
    assert sorted(path.name for path in final.iterdir()) == ["part-0", "part-1", "part-2"]
    assert list(tmp_path.iterdir()) == [final]


def test_workers_write_each_into_a_folder_of_its_own_and_replace_an_earlier_one(tmp_path):
    finals = [tmp_path / str(rank) / "step-1" for rank in range(3)]
    write_together(finals)
    write_together(finals)
    assert [[path.name for path in final.iterdir()] for final in finals] == [["part-0"], ["part-1"], ["part-2"]]
    assert [list(final.parent.iterdir()) for final in finals] == [[final] for final in finals]


def test_where_the_leader_fails_nothing_is_there(tmp_path):
    with (
        pytest.raises(OSError, match="disk full"),
        whole_folder_of_all(tmp_path / "step-1", leads=True, wait=lambda: None),
    ):
        raise OSError("disk full")
    assert list(tmp_path.iterdir()) == []
