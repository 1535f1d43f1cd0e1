import pytest
from fakes import finished_trajectory, question

from fireact_ray.core.errors import DataError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.rows import to_table
from fireact_ray.core.storage.trajectories import write_trajectories
from fireact_ray.core.types import Score, StopReason
from fireact_ray.rollouts.completed import Written, accepted_rows, is_accepted, read_totals, read_written

ROWS = [
    finished_trajectory("a"),
    finished_trajectory("b", score=None),
    finished_trajectory("c", score=Score(0.0, 0.5)),
    finished_trajectory("d", stop_reason=StopReason.MAX_STEPS),
    finished_trajectory("e", stop_reason=StopReason.MAX_STEPS, score=None),
]


def test_written_rows_are_found_by_key():
    written = Written.of({"b": True, "d": False, "longer": True})
    assert written.find(["a", "b", "c", "d", "e", "longer", "lon"]) == [None, True, None, False, None, True, None]
    assert Written.of({}).find(["a"]) == [None]
    assert [key for key in ("a", "b", "d", "longer", "lon", "longest of all", "") if key in written] == [
        "b",
        "d",
        "longer",
    ]
    assert "a" not in Written.of({})


def test_accepted_is_finished_and_not_known_to_be_wrong():
    assert [is_accepted(row) for row in ROWS] == [True, True, False, False, False]
    assert question().answers  # the fake has a known answer, so a score means something


def test_stored_rows_are_accepted_as_trajectories_are():
    assert accepted_rows(to_table(ROWS)).to_pylist() == [is_accepted(row) for row in ROWS]


def test_both_readers_find_the_same_rows_each_key_once(tmp_path):
    folder = Folder(str(tmp_path))
    write_trajectories(folder, ROWS[:3], "w1")
    write_trajectories(folder, [*ROWS[2:], finished_trajectory("f", method="cot")], "w2")
    written, by_method = read_written(folder)
    again, totals, problems = read_totals(folder)
    assert written.find("abcdefg") == again.find("abcdefg") == [True, True, False, False, False, True, None]
    assert by_method == totals.accepted == {"react": 2, "cot": 1}
    assert (totals.by_reason, totals.repeated, problems) == ({"finished": 4, "max_steps": 2}, 1, [])


def test_a_damaged_part_stops_a_run_and_is_a_problem_of_an_audit(tmp_path):
    folder = Folder(str(tmp_path))
    write_trajectories(folder, ROWS[:1], "w1")
    folder.write("part-w2-00000000.parquet", "no Parquet")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read_written(folder)
    written, totals, problems = read_totals(folder)
    assert (len(written), totals.by_reason, len(problems)) == (1, {"finished": 1}, 1)


def test_an_empty_folder_holds_no_rows(tmp_path):
    written, by_method = read_written(Folder(str(tmp_path)))
    assert (len(written), by_method) == (0, {})
    assert (len(read_totals(Folder(str(tmp_path)))[0]), read_totals(Folder(str(tmp_path)))[2]) == (0, [])
