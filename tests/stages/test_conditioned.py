"""Which reports the degradation table compares."""

from fireact_ray.core.types import Action, Question, Score, Step, StopReason, Trajectory
from fireact_ray.evaluation.report import Report
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.recipe.trials import trials_of
from fireact_ray.stages.evaluate import conditioned


def report(name: str) -> Report:
    step, question = Step("", Action("finish", "a"), None), Question("jsonl", "q", "?", ("a",))
    row = Trajectory("k", question, "react", "m", 0, (step,), StopReason.FINISHED, Score(1.0, 1.0))
    return Report.from_trajectories(name, [row])


def test_reports_are_taken_by_system_and_condition_over_seeds_and_untouched_systems_are_left_out():
    section = (
        "{systems: [base, teacher, {kind: teacher, method: cot}, {name: old, kind: run, path: x}],"
        " conditions: [{kind: none, probability: [0.25, 0.5]}], seeds: [7, 8]}"
    )
    trials = trials_of(load_recipe("demo", [f"evaluate={section}", "teacher.sampling.temperature=1"]))
    found = conditioned(trials, {trial.label: report(trial.label) for trial in trials})
    table = {
        system: [(one.condition, one.kind, one.probability, [r.name for r in one.reports]) for one in conditions]
        for system, conditions in found.items()
    }
    assert table == {
        "base": [
            ("normal", "normal", 0.0, ["base"]),
            ("none-0.25", "none", 0.25, ["base@none-0.25"]),
            ("none-0.5", "none", 0.5, ["base@none-0.5"]),
        ],
        "teacher": [
            ("normal", "normal", 0.0, ["teacher~7", "teacher~8"]),
            ("none-0.25", "none", 0.25, ["teacher@none-0.25~7", "teacher@none-0.25~8"]),
            ("none-0.5", "none", 0.5, ["teacher@none-0.5~7", "teacher@none-0.5~8"]),
        ],
    }


def test_without_conditions_there_is_nothing_to_compare():
    trials = trials_of(load_recipe("demo", ["evaluate={systems: [base, teacher]}"]))
    assert conditioned(trials, {trial.label: report(trial.label) for trial in trials}) == {}
