import threading

import pytest

from fireact_ray.core.errors import DataError
from fireact_ray.recipe.experiments.config import ExperimentConfig
from fireact_ray.recipe.experiments.expansion import expand
from fireact_ray.recipe.experiments.graph import graph_of
from fireact_ray.recipe.experiments.running import run_tasks
from fireact_ray.recipe.loader import load_recipe


@pytest.fixture
def graph():
    """A generation that two students share, and a prompted base."""
    experiment = ExperimentConfig(
        name="x",
        question="?",
        cells={"base": {"evaluate": {"systems": ["base"]}}},
        all_cells={"evaluate": {"systems": ["finetuned"]}},
        axes={"convert.n": [1, 2]},
    )
    return graph_of(expand(experiment, [load_recipe("demo")]), "/runs/demo/experiments", "x")


def failing(*kinds: str, done: list[str]):
    def run(task):
        if any(kind in task.id for kind in kinds):
            raise DataError("no room")
        done.append(task.id)

    return run


def test_a_student_that_fails_stops_its_own_cell_and_no_other(graph):
    first = next(task.id for task in graph.tasks.values() if task.kind == "train")
    done: list[str] = []
    failures = run_tasks(graph, failing(first, done=done), {})
    assert failures == {first: "train failed: no room", graph.by_cell["n-1"]: "train failed: no room"}
    assert {graph.by_cell["n-2"], graph.by_cell["base"]} <= set(done)


def test_a_generation_that_fails_stops_all_students_and_not_the_base(graph):
    done: list[str] = []
    failures = run_tasks(graph, failing("generate", done=done), {})
    assert done == [graph.by_cell["base"]]
    assert set(failures.values()) == {"generate failed: no room"} and len(failures) == len(graph.tasks) - 1


def test_what_failed_in_another_experiment_is_not_tried_again(graph):
    generate = next(iter(task for task in graph.tasks if task.startswith("generate")))
    done: list[str] = []
    failures = run_tasks(graph, failing(done=done), {generate: "generate failed: no key", "other": "x"})
    assert done == [graph.by_cell["base"]] and "other" not in failures
    assert failures[graph.by_cell["n-1"]] == "generate failed: no key"


def test_an_error_of_the_program_fails_its_cells_alone_and_leaves_its_traceback_in_the_log(graph, caplog):
    def run(task):
        if task.kind == "train":
            raise KeyError("weights")

    failures = run_tasks(graph, run, {})
    reason = "train failed by an error of the program: KeyError: 'weights'"
    assert {failures[graph.by_cell[cell]] for cell in ("n-1", "n-2")} == {reason}
    assert graph.by_cell["base"] not in failures
    assert "in run" in caplog.text  # where it was raised


@pytest.mark.parametrize("at_once", [1, 2, 8])
def test_side_by_side_each_task_begins_behind_those_that_it_needs(graph, at_once):
    done, lock = [], threading.Lock()

    def run(task):
        with lock:
            assert set(task.needs) <= set(done)
            done.append(task.id)

    assert run_tasks(graph, run, {}, at_once) == {}
    assert sorted(done) == sorted(graph.tasks)


def test_nothing_begins_while_what_it_needs_still_runs(graph):
    other = threading.Event()

    def run(task):
        if task.kind == "generate":
            assert not other.wait(0.3)
        elif task.id != graph.by_cell["base"]:
            other.set()

    assert run_tasks(graph, run, {}, 8) == {}


def test_two_students_run_at_the_same_time_where_there_is_room(graph):
    both = threading.Barrier(2, timeout=20)

    def run(task):
        if task.kind == "train":
            both.wait()

    assert run_tasks(graph, run, {}, 3) == {}


def test_an_interrupt_stops_what_runs_side_by_side(graph):
    stopped = threading.Event()

    def run(task):
        if task.kind == "evaluate":
            raise KeyboardInterrupt
        assert stopped.wait(20)

    with pytest.raises(KeyboardInterrupt):
        run_tasks(graph, run, {}, 3, stopped.set)
    assert stopped.is_set()
