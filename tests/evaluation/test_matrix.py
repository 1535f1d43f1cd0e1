import pytest
from evaluation_reports import report

from fireact_ray.core.errors import DataError
from fireact_ray.evaluation.matrix import Matrix


def asked(name: str, task: str, n_right: int):
    return report(name, {f"{task}-{i}": i < n_right for i in range(10)}, task)


MATRIX = Matrix(
    {
        ("base", "hotpotqa"): asked("base", "hotpotqa", 2),
        ("base", "bamboogle"): asked("base", "bamboogle", 3),
        ("hotpotqa", "hotpotqa"): asked("tuned", "hotpotqa", 6),
        ("hotpotqa", "bamboogle"): asked("tuned", "bamboogle", 4),
        ("hotpotqa+strategyqa", "hotpotqa"): asked("both", "hotpotqa", 5),
    }
)


def test_a_matrix_shows_what_each_trained_system_does_on_each_task():
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in MATRIX.to_markdown().splitlines()]
    assert rows[0] == [r"trained on \ asked", "hotpotqa", "bamboogle"]
    assert rows[2] == ["base", "20.0 [5.7, 51.0]", "30.0 [10.8, 60.3]"]
    assert rows[3] == ["hotpotqa", "60.0 [31.3, 83.2] (+40.0) *", "40.0 [16.8, 68.7] (+10.0)"]
    assert rows[4] == ["hotpotqa+strategyqa", "50.0 [23.7, 76.3] (+30.0) *", "-"]


def test_generalisation_is_where_the_task_was_not_trained_on():
    cells = {(cell["trained"], cell["asked"]): cell for cell in MATRIX.to_dict()["cells"]}
    held_out = {key for key, cell in cells.items() if cell["held_out"]}
    assert held_out == {
        ("base", "hotpotqa"),
        ("base", "bamboogle"),
        ("hotpotqa", "bamboogle"),
        ("hotpotqa+strategyqa", "bamboogle"),
    }
    assert cells["hotpotqa", "hotpotqa"]["versus_first"]["points"] == pytest.approx(40.0)
    assert cells["base", "hotpotqa"]["versus_first"] is None
    assert (cells["hotpotqa+strategyqa", "bamboogle"]["em"], cells["hotpotqa+strategyqa", "bamboogle"]["n"]) == (
        None,
        None,
    )


def test_a_matrix_of_nothing_is_refused():
    with pytest.raises(DataError, match="needs a report"):
        Matrix({})
