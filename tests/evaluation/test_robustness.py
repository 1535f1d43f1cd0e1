"""Reports by condition in, a degradation table out."""

import pytest

from fireact_ray.core.errors import DataError
from fireact_ray.core.types import Action, Question, Score, Step, StopReason, Trajectory
from fireact_ray.evaluation.report import Report
from fireact_ray.evaluation.robustness import Conditioned, degradation_of


def report(name: str, marks: str) -> Report:
    """A question each: `x` was answered exactly, `.` was not."""
    rows = [
        Trajectory(
            f"{number}",
            Question("jsonl", f"q{number}", "?", ("a",)),
            "react",
            "m",
            0,
            (Step("", Action("finish", "a"), None),),
            StopReason.FINISHED,
            Score(float(mark == "x"), 0.5),
        )
        for number, mark in enumerate(marks)
    ]
    return Report.from_trajectories(name, rows)


def normal(*marks: str) -> Conditioned:
    return Conditioned("normal", "normal", 0.0, [report("s", one) for one in marks])


def none_half(*marks: str) -> Conditioned:
    return Conditioned("none-0.5", "none", 0.5, [report("s@none-0.5", one) for one in marks])


def test_a_drop_is_in_points_of_the_same_questions_with_its_paired_test():
    clean, struck = degradation_of({"s": [normal("xxxxxxxx.."), none_half("xx......x.")]}).rows
    assert (clean.drop(), clean.em.percent) == (None, 80.0)
    assert (struck.em.percent, struck.drop()["points"], struck.n) == (30.0, 50.0, 10)
    assert struck.drop()["low"] <= 50.0 <= struck.drop()["high"]
    assert struck.drop()["p_value"] == pytest.approx(0.125)  # 6 lost, 1 won: 16 of 128 coins fall so unevenly


def test_who_does_better_under_a_condition_has_a_drop_below_nothing_and_nothing_is_no_minus_nothing():
    rows = degradation_of({"s": [normal("x..."), none_half("xxx."), none_half("x...")]}).rows
    assert rows[1].drop()["points"] == -50.0
    assert str(rows[2].drop()["points"]) == "0.0"


def test_of_several_seeds_each_question_counts_once():
    clean, struck = degradation_of({"s": [normal("xx..", "x.x."), none_half("x...", "....")]}).rows
    assert (clean.em.percent, struck.em.percent, struck.n) == (50.0, 12.5, 4)
    assert struck.drop()["points"] == 37.5


def test_systems_stand_below_each_other_to_read_and_as_json():
    found = degradation_of({"a": [normal("xx"), none_half("x.")], "b": [normal(".."), none_half("..")]})
    lines = found.to_markdown().splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["a", "a", "b", "b"]
    assert "| 50% |" in " ".join(lines[3].split())
    as_json = found.to_dict()
    assert as_json["version"] == 1
    assert [(row["condition"], row["probability"]) for row in as_json["rows"][:2]] == [
        ("normal", 0.0),
        ("none-0.5", 0.5),
    ]
    assert as_json["rows"][0]["drop"] is None


def test_conditions_met_by_other_questions_are_not_compared():
    with pytest.raises(DataError, match="the same questions"):
        degradation_of({"s": [normal("xx"), none_half("x")]})
    with pytest.raises(DataError, match="no report of the normal condition"):
        degradation_of({"s": [none_half("x")]})
    with pytest.raises(DataError, match="Evaluate every seed on the same questions"):
        degradation_of({"s": [normal("xx", "x"), none_half("x")]})
