"""Small reports for the tests of what is made of reports."""

from fireact_ray.core.types import Action, Question, Score, Step, StopReason, Trajectory
from fireact_ray.evaluation.report import Report


def report(name: str, right: dict[str, bool], task: str = "jsonl") -> Report:
    """`right`: by question, whether its answer is."""
    return Report.from_trajectories(name, [_row(name, key, is_right, task) for key, is_right in right.items()])


def _row(name: str, key: str, is_right: bool, task: str) -> Trajectory:
    step = Step("t", Action("finish", "Tarn" if is_right else "Ulm"), None)
    asked = Question(task, key, f"Which, {key}?", ("Tarn",))
    score = Score(float(is_right), float(is_right))
    return Trajectory(f"{name}-{key}", asked, "react", "m", 0, (step,), StopReason.FINISHED, score)
