import pyarrow.parquet as pq
import pytest
from fakes import finished_trajectory as trajectory
from fakes import question

from fireact_ray.core.errors import InputError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import finished_keys, set_aside_broken, write_trajectories
from fireact_ray.core.types import Score, StopReason
from fireact_ray.rollouts.audit import audit
from fireact_ray.rollouts.completed import Written
from fireact_ray.rollouts.plan import Planned, Policy, write_plan


def plan(folder, *lines, policy=None):
    """Each line names its rows by one letter each."""
    rows = (tuple(Planned(key, question(), "react") for key in line) for line in lines)
    return write_plan(folder, rows, policy or Policy(), Written.of({}))


@pytest.fixture
def run(tmp_path):
    """Four rows planned, three written in two parts."""
    folder = Folder(str(tmp_path))
    plan(folder, "a", "b", "c", "d")
    wrong = trajectory("b", score=Score(0.0, 0.5))
    write_trajectories(folder / "trajectories", [trajectory("a"), wrong], "w1")
    still_open = trajectory("c", score=Score(0.0, 0.0), stop_reason=StopReason.MAX_STEPS)
    write_trajectories(folder / "trajectories", [still_open], "w2")
    return folder


def test_planned_rows_are_the_written_and_the_pending_ones(run):
    found = audit(run)
    assert (found.planned, found.written, found.pending) == (4, 3, 1)
    assert found.by_reason == {"finished": 2, "max_steps": 1}
    assert (found.correct, found.prompt_tokens, found.completion_tokens) == (1, 21, 9)
    assert found.problems == ()


def test_rows_behind_an_accepted_one_in_their_line_are_skipped(tmp_path):
    folder = Folder(str(tmp_path))
    plan(folder, "abc", "def")
    failed = trajectory("d", stop_reason=StopReason.MAX_STEPS, score=Score(0.0, 0.0))
    write_trajectories(folder / "trajectories", [trajectory("a"), failed], "w")
    found = audit(folder)
    assert (found.planned, found.written, found.skipped, found.pending) == (6, 2, 2, 2)


def test_rows_of_a_method_that_has_reached_its_target_are_skipped(tmp_path):
    folder = Folder(str(tmp_path))
    plan(folder, "a", "b", "c", policy=Policy(target_accepted=2))
    write_trajectories(folder / "trajectories", [trajectory("a")], "w")
    assert (audit(folder).pending, audit(folder).skipped) == (2, 0)
    write_trajectories(folder / "trajectories", [trajectory("b")], "w")
    assert (audit(folder).pending, audit(folder).skipped) == (0, 1)
    assert audit(folder).accepted == {"react": 2}


def test_an_unknown_price_makes_the_whole_cost_unknown(run):
    assert audit(run).cost_usd is None


def test_a_known_price_adds_up(tmp_path):
    folder = Folder(str(tmp_path))
    rows = [trajectory("a", cost_usd=0.25), trajectory("b", cost_usd=0.5)]
    write_trajectories(folder / "trajectories", rows, "w")
    assert audit(folder).cost_usd == 0.75


def test_a_key_that_is_written_twice_counts_once_and_is_reported(run):
    write_trajectories(run / "trajectories", [trajectory("a")], "w3")
    write_trajectories(run / "trajectories", [trajectory("d"), trajectory("d"), trajectory("a")], "w4")
    found = audit(run)
    assert (found.written, found.pending, found.accepted, found.prompt_tokens) == (4, 0, {"react": 2}, 28)
    assert found.problems == ("3 rows repeat the key of another row; readers count each key once",)


def test_of_a_part_that_can_be_read_only_in_part_no_row_counts(run, tmp_path):
    """Its keys can be read, so the row that it shares with a whole part is seen there first."""
    write_trajectories(run / "trajectories", [trajectory("a")], "w0")
    part = next((tmp_path / "trajectories").glob("part-w0-*.parquet"))
    group = pq.read_metadata(part).row_group(0)
    columns = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    at = columns["stop_reason"].dictionary_page_offset
    damaged = bytearray(part.read_bytes())
    damaged[at : at + 8] = b"\xff" * 8
    part.write_bytes(damaged)
    found = audit(run)
    assert found.by_reason == {"finished": 2, "max_steps": 1}
    assert (found.written, found.pending, found.unplanned, len(found.problems)) == (3, 1, 0, 1)
    assert "not a readable Parquet file" in found.problems[0]


def test_a_finished_manifest_with_missing_rows_is_a_problem(run):
    (run / "trajectories").write_json("manifest.json", {})
    assert "1 planned rows are missing" in audit(run).problems[0]


def test_a_model_that_saw_another_renderer_is_a_problem(run):
    (run / "dataset").write_json("manifest.json", {"renderer_fingerprint": "plain-1"})
    (run / "model").write_json("fireact.json", {"renderer_fingerprint": "llama2-2"})
    assert audit(run).problems == ("the dataset was rendered by plain-1, the model was trained with llama2-2",)


@pytest.mark.parametrize("damage", ["empty", "truncated", "flipped", "text"])
def test_a_broken_part_is_reported_then_set_aside_so_that_its_rows_are_pending_again(run, damage, tmp_path):
    part = next((tmp_path / "trajectories").glob("part-w1-*.parquet"))
    whole = part.read_bytes()
    damaged = {"empty": b"", "truncated": whole[:-30], "flipped": whole[:-6] + b"\xff" + whole[-5:], "text": b"hello"}
    part.write_bytes(damaged[damage])
    assert "not a readable Parquet file" in audit(run).problems[0]
    assert set_aside_broken(run / "trajectories") == [part.name]
    assert finished_keys(run / "trajectories") == {"c"}
    assert (tmp_path / "trajectories" / "broken" / part.name).read_bytes() == damaged[damage]
    assert audit(run).pending == 3


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="no run there"):
        audit(Folder(str(tmp_path)))


def test_of_a_folder_that_holds_evaluations_alone_these_are_named(run, tmp_path):
    (tmp_path / "trajectories").rename(tmp_path / "kept")
    for name in ("base", "student@none-0.5"):
        (run / "evaluations" / name).write("plan.parquet", run.read("plan.parquet"))
    (tmp_path / "plan.parquet").unlink()
    with pytest.raises(
        InputError, match=r"holds evaluations. Give one of them: .*/evaluations/base, .*/student@none-0.5\."
    ):
        audit(run)
