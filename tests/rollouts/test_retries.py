"""Failed rows are pending again: which, how often, and that no other row is touched."""

import pyarrow.parquet as pq
import pytest
from fakes import finished_trajectory, question

from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import read_trajectories, write_trajectories
from fireact_ray.core.types import StopReason, Trajectory
from fireact_ray.rollouts.completed import Written, read_written
from fireact_ray.rollouts.plan import Planned, Policy, write_plan
from fireact_ray.rollouts.retries import planned_of, read_failures, take_out

DOWN = "ModelUnavailable: m: connection refused (127.0.0.1:9)"


def failed(key: str, reason=StopReason.MODEL_ERROR, error: str | None = DOWN) -> Trajectory:
    return finished_trajectory(key, stop_reason=reason, error=error, score=None, steps=())


def lines_of(keys: str):
    return [(Planned(key, question(), "react"),) for key in keys]


@pytest.fixture
def home(tmp_path):
    """Two parts: a and b finished, c to h ended in other ways; i was imported, and is in no plan."""
    home = Folder(str(tmp_path))
    rows = [
        failed("c"),
        failed("d", StopReason.TOOL_ERROR, "too many failed tool calls"),
        failed("e", StopReason.TIMEOUT, "TimeoutError: no end within 600 s"),
        failed("f", StopReason.CRASHED, "WorkerDied: it died"),
        failed("g", error="PromptFlagged: m: HTTP 403: flagged"),
        failed("h", StopReason.MAX_STEPS, None),
        failed("i"),
    ]
    write_trajectories(home / "trajectories", [finished_trajectory("a"), *rows[:3]], "w0")
    write_trajectories(home / "trajectories", [finished_trajectory("b"), *rows[3:]], "w1")
    write_plan(home, lines_of("abcdefgh"), Policy(), Written.of({}))
    return home


def keys_in(home: Folder) -> list[str]:
    """As they stand in the files."""
    folder = (home / "trajectories").local_path
    return sorted(key for file in folder.glob("*.parquet") for key in pq.read_table(file)["trajectory_id"].to_pylist())


def test_the_footer_of_each_part_is_read_once(home, monkeypatch):
    read, read_metadata = [], pq.read_metadata
    monkeypatch.setattr(pq, "read_metadata", lambda *args, **more: read.append(args[0]) or read_metadata(*args, **more))
    take_out(home, frozenset("cdef"))
    assert len(read) == 2


def test_what_failed_from_outside_can_be_retried_and_nothing_else(home):
    failures = read_failures(home)
    assert failures.retryable(3) == set("cdefi")
    assert planned_of(home, failures.retryable(3)) == set("cdef")
    assert failures.retryable(0) == set()
    assert failures.retryable(None) == set("cdefi")


def test_rows_that_are_taken_out_are_pending_and_the_others_stay_as_they_are(home):
    before = {row.trajectory_id: row for row in read_trajectories(home / "trajectories")}
    take_out(home, frozenset("cdef"))
    assert keys_in(home) == list("abghi")
    after = {row.trajectory_id: row for row in read_trajectories(home / "trajectories")}
    assert after == {key: before[key] for key in "abghi"}
    assert all((home / "trajectories").is_whole(name) for name in (home / "trajectories").names(".parquet"))
    written, _ = read_written(home / "trajectories")
    assert written.find(["a", "c"]) == [True, None]


def test_a_part_of_failed_rows_only_goes_and_untouched_parts_keep_their_name(home):
    folder = home / "trajectories"
    (both, untouched) = (
        write_trajectories(folder, [failed("x"), failed("y")], "w2"),
        write_trajectories(folder, [finished_trajectory("z")], "w3"),
    )
    take_out(home, frozenset("xy"))
    assert both not in folder.names()
    assert untouched in folder.names()


def test_retries_are_counted_up_to_the_bound(home):
    for retries_before in range(3):
        assert read_failures(home).retries["c"] == retries_before
        assert "c" in read_failures(home).retryable(3)
        take_out(home, frozenset("c"))
        write_trajectories(home / "trajectories", [failed("c")], f"again{retries_before}")
    assert read_failures(home).retryable(3) == set("defi")
    assert "c" in read_failures(home).retryable(None)


def test_a_death_before_the_parts_are_rewritten_loses_no_row(home, monkeypatch):
    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Folder, "delete", die)
    with pytest.raises(KeyboardInterrupt):  # as the old part would go: the new one stands beside it
        take_out(home, frozenset("cdef"))
    monkeypatch.undo()
    assert {row.trajectory_id for row in read_trajectories(home / "trajectories")} == set("abcdefghi")
    take_out(home, frozenset("cdef"))
    assert set(keys_in(home)) == set("abghi")


@pytest.mark.ray  # which this loads
def test_a_run_begins_with_its_failed_rows_pending(home):
    from fireact_ray.stages.trajectory_folder import begin

    size = begin(home, {}, lines_of("abcdefgh"), Policy(), max_retries=1)
    assert (size.planned, size.pending) == (8, 4)
    write_trajectories(home / "trajectories", [failed(key) for key in "cdef"], "again")
    size = begin(home, {}, lines_of("abcdefgh"), Policy(), max_retries=1)
    assert (size.planned, size.pending) == (8, 0)
    assert set(keys_in(home)) == set("abcdefghi")
    assert begin(home, {}, lines_of("abcdefgh"), Policy(), max_retries=None).pending == 4


@pytest.mark.ray
def test_a_plan_that_lacks_a_failed_row_leaves_it_alone(home):
    from fireact_ray.stages.trajectory_folder import begin

    assert begin(home, {}, lines_of("abc"), Policy(), max_retries=1).pending == 1
    assert set(keys_in(home)) == set("abdefghi")
