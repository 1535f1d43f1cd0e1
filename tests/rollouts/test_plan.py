import pyarrow.parquet as pq
from fakes import agent

from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.types import Question
from fireact_ray.rollouts.completed import Written
from fireact_ray.rollouts.plan import Policy, plan_lines, planned_row, read_policy, write_plan

QUESTIONS = [Question("jsonl", "q1", "first?", ("a",)), Question("jsonl", "q2", "second?", ("b",))]
AGENTS = {name: agent(method=name, few_shot=True) for name in ("cot", "react")}


def shape(policy: Policy) -> list[list[tuple[str, str, int]]]:
    lines = plan_lines(QUESTIONS, AGENTS, policy)
    return [[(planned.question.id, planned.method, planned.attempt) for planned in line] for line in lines]


def test_every_question_method_and_attempt_is_a_row_the_longer_method_first():
    assert shape(Policy(attempts=2)) == [
        [("q1", "react", 0)], [("q1", "react", 1)], [("q2", "react", 0)], [("q2", "react", 1)],
        [("q1", "cot", 0)], [("q1", "cot", 1)], [("q2", "cot", 0)], [("q2", "cot", 1)],
    ]  # fmt: skip


def test_attempts_until_one_is_accepted_stand_in_one_line():
    assert shape(Policy(attempts=2, until_accepted=True))[0] == [("q1", "react", 0), ("q1", "react", 1)]


def test_escalation_puts_all_methods_of_a_question_into_one_line_in_the_recipes_order():
    assert shape(Policy(escalate=True)) == [
        [("q1", "cot", 0), ("q1", "react", 0)],
        [("q2", "cot", 0), ("q2", "react", 0)],
    ]


def test_a_plan_reads_back_as_it_was_written(tmp_path):
    home, policy = Folder(str(tmp_path)), Policy(attempts=2, escalate=True, target_accepted=5)
    lines = list(plan_lines(QUESTIONS, AGENTS, policy))
    size = write_plan(home, lines, policy, Written.of({}))
    rows = pq.read_table(tmp_path / "plan.parquet").to_pylist()
    assert [planned_row(row) for row in rows] == [planned for line in lines for planned in line]
    assert [row["line"] for row in rows] == [0, 0, 0, 0, 1, 1, 1, 1]
    assert read_policy(home) == policy
    assert (size.planned, size.pending) == (8, 8)


def test_lines_with_an_accepted_row_have_no_pending_rows(tmp_path):
    lines = list(plan_lines(QUESTIONS, AGENTS, Policy(escalate=True)))
    (cot_1, _), (cot_2, _) = lines
    written = Written.of({cot_1.trajectory_id: True, cot_2.trajectory_id: False})
    size = write_plan(Folder(str(tmp_path)), lines, Policy(escalate=True), written)
    assert (size.planned, size.pending) == (4, 1)
