"""Our own rows, in run folders and in Parquet, scored anew."""

import json
from dataclasses import replace

import pytest

from fireact_ray.core.errors import DataError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import read_trajectories, write_trajectories
from fireact_ray.core.types import Action, Observation, Question, Score, Step, StopReason, Trajectory, Usage
from fireact_ray.evaluation.episodes import episode_of, stored_episodes
from fireact_ray.evaluation.recorded.scoring import score_paths, scores_dict, scores_text
from fireact_ray.rollouts.completed import Written
from fireact_ray.rollouts.plan import Planned, Policy, write_plan

from .recordings import em, scored


def ours(key: str, answer: str | None = "Ada Moe", score: Score | None = None, **about) -> Trajectory:
    search = Step("t", Action("search", "q"), Observation("text"), "", Usage(100, 10), 0.5, 0.25)
    end = Step("t", Action("finish", answer), None, "", Usage(150, 20), 0.75) if answer else None
    reason = StopReason.FINISHED if answer else StopReason.MAX_STEPS
    asked = Question("jsonl", f"q-{key}", "Who?", ("Ada Moe",), "1hop")
    steps = (search, end) if end else (search,)
    model = about.pop("model", "m")
    return Trajectory(key, about.pop("question", asked), "react", model, 0, steps, reason, score, **about)


RIGHT, WRONG = Score(1.0, 1.0), Score(0.0, 0.0)


@pytest.fixture
def run(tmp_path) -> str:
    rows = [
        ours("a", score=RIGHT, cost_usd=0.5),
        ours("b", "Bo", score=WRONG),
        ours("c", None, score=WRONG, cost_usd=0.25),
        Trajectory("d", ours("d").question, "react", "m", 0, (), StopReason.MODEL_ERROR, None, "ModelRefused: no"),
    ]
    folder = Folder(str(tmp_path / "run"))
    write_trajectories(folder / "trajectories", rows, "w")
    write_trajectories(folder / "evaluations/base/trajectories", [ours("a", "Bo", score=RIGHT), ours("b")], "w")
    return str(tmp_path / "run")


def test_the_columns_of_a_stored_row_say_what_the_trajectory_does(run):
    folder = Folder(run) / "trajectories"
    (name,) = folder.names(".parquet")
    assert list(stored_episodes(folder, name)) == [episode_of(row) for row in read_trajectories(folder)]


def test_a_run_folder_is_scored_by_its_generation_and_each_evaluation(run):
    generated, base = score_paths([run], [], "dev", None)
    assert (generated.report.name, base.report.name) == ("run", "run/base")
    assert (generated.report.n_finished, dict(generated.report.failed)) == (2, {"ModelRefused": 1})
    assert (em(generated), em(base)) == (25.0, 50.0)
    assert generated.report.per_trial["cost_usd"].n == 2
    assert generated.report.per_trial["model_seconds"].total == 3.0
    assert base.verdicts.differing == {"exact match": 1, "F1": 1}
    text = scores_text([generated, base])
    assert "run/base: 2 planned: 2 finished." in text
    written = json.loads(json.dumps(scores_dict([generated, base])))
    assert [one["name"] for one in written["recordings"]] == ["run", "run/base"]
    assert written["comparison"][1]["versus_first"] is None
    assert "- Not compared with run: that one answers 4 questions and this one 2, 2 of them the same.\n" in text


def test_the_systems_of_a_run_are_compared_among_themselves(run):
    write_trajectories(Folder(run) / "evaluations/tuned/trajectories", [ours("a"), ours("b")], "w")
    found = score_paths([run], [], "dev", None)
    written = scores_dict(found)
    assert written["compared_with"] == "run/base"
    assert [one["versus_first"] and one["versus_first"]["points"] for one in written["comparison"]] == [
        None,
        None,
        50.0,
    ]
    assert "EM vs run/base" in scores_text(found).splitlines()[0]


def test_rows_of_several_methods_are_told_apart_beside_other_recordings(run):
    cot = replace(ours("e", "Bo", score=WRONG), method="cot")
    write_trajectories(Folder(run) / "trajectories", [cot], "more")
    text = scores_text(score_paths([run], [], "dev", None))
    assert "- Rows of several methods, each by itself: cot 0.0 % of 1, react 25.0 % of 4.\n" in text


def test_what_a_run_has_not_written_yet_and_what_is_not_in_its_plan_is_said(run):
    lines = [(Planned(key, ours(key).question, "react"),) for key in "abcefg"]
    write_plan(Folder(run), lines, Policy(), Written.of({}))
    generated, base = score_paths([run], [], "dev", None)
    assert generated.said[:2] == [
        "3 more rows are planned and not written yet: these numbers are of a part of the run",
        "1 rows are not in the run's plan (of an earlier one, or imported), and count",
    ]
    assert (base.pending, base.unplanned) == (0, 0)


def test_a_row_that_stands_in_two_parts_counts_once(run):
    write_trajectories(Folder(run) / "trajectories", [ours("a", score=RIGHT)], "again")
    generated, _ = score_paths([run], [], "dev", None)
    assert (generated.report.n_planned, generated.repeated) == (4, 1)


def test_a_single_part_is_scored_alone_and_compared_with_another_of_the_same_questions(run, tmp_path):
    folder = Folder(str(tmp_path / "other"))
    name = write_trajectories(folder, [ours("a"), ours("b")], "w")
    parts = [f"{tmp_path}/other/{name}", f"{run}/evaluations/base/trajectories"]
    first, second = score_paths(parts, [], "dev", None)
    assert (em(first), em(second)) == (100.0, 50.0)
    assert scores_dict([first, second])["comparison"][1]["versus_first"]["points"] == -50.0


def test_the_answer_of_a_rewarded_import_is_no_accepted_answer_to_score_it_by(tmp_path):
    folder = Folder(str(tmp_path / "run")) / "trajectories"
    rewarded = Question("hotpotqa", "q1", "Who?", ("Bo",))
    rows = [ours("a", "Bo", RIGHT, model="imported", question=rewarded)]
    rows.append(ours("b", "Bo", WRONG, model="imported", question=Question("hotpotqa", "q2", "Who?", ())))
    write_trajectories(folder, rows, "import")
    found = scored(str(tmp_path / "run"))
    assert (found.verdicts.as_recorded, found.verdicts.anew, em(found)) == (2, 0, 50.0)


def test_a_damaged_part_is_said(run):
    folder = Folder(run) / "trajectories"
    (name,) = folder.names(".parquet")
    folder.write(name, folder.read(name)[:200])
    with pytest.raises(DataError, match="not a readable Parquet file"):
        score_paths([run], [], "dev", None)
