"""Plan of an experiment: its cells, and the calls, dollars and hours of their tasks, before any of it is done.

Only forecasts that exist: of a generation, `fireact plan` without a pilot (measured where its folder holds rows, else
a bound); of a training, its steps at the pace of a recorded one, else the hours of a GPU that is named; of an
evaluation, its rows at the pace of recorded rows of the same system. What nobody can tell is unknown, never 0.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fireact_ray.agent.placeholders import OfflineBackend
from fireact_ray.core.errors import FireActError
from fireact_ray.core.storage.artifacts import MANIFEST, MODEL_CARD, read_dataset_manifest
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.types import Question
from fireact_ray.core.utils.markdown import markdown_table
from fireact_ray.core.utils.text import UNKNOWN, count_text, duration_text, usd_text
from fireact_ray.recipe.experiments.graph import Kind, Task
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.systems import EndpointSystem, TeacherSystem
from fireact_ray.recipe.teacher import TeacherAgents, teacher_price
from fireact_ray.rollouts.forecast.amounts import Amounts, Range
from fireact_ray.rollouts.forecast.estimate import ceiling
from fireact_ray.stages.experiment import Part, Plan
from fireact_ray.stages.experiment_pace import Recorded
from fireact_ray.stages.forecast import forecast_costs
from fireact_ray.stages.plan_evaluation import expected_trials, questions_of
from fireact_ray.stages.plan_training import plan_training
from fireact_ray.stages.shared_rows import evaluations_of

_BREAK = "\n"
_HEADER = ("task", "for", "rows", "teacher calls", "$", "time")


@dataclass(frozen=True)
class Amount:
    """`exact`: no bound. None: unknown."""

    number: float | None
    exact: bool = True

    def __add__(self, other: Amount) -> Amount:
        if self.number is None or other.number is None:
            return Amount(None)
        return Amount(self.number + other.number, self.exact and other.exact)


@dataclass(frozen=True)
class Expected:
    """Of one task. `what`: its rows. `problem`: why nothing is known."""

    what: str
    calls: Amount
    usd: Amount
    seconds: Amount
    problem: str = ""


@dataclass
class _Planned:
    """What tasks before this one will have made: keys of generated rows, and by the key of an evaluation the ids of
    its questions. `sizes`: rows of tasks that make some for students, by their ids."""

    rows: set[str] = field(default_factory=set)
    sizes: dict[str, int] = field(default_factory=dict)
    questions: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))


_NOTHING = Amount(0.0)


def plan_text(plan: Plan, gpu: str | None = None) -> str:
    """All cells, then all tasks, each once, and their sum. `gpu`: what students are trained on."""
    tasks: dict[str, Task] = {}
    for part in plan.parts:
        tasks |= {task_id: task for task_id, task in part.graph.tasks.items() if task_id not in tasks}
    known, planned = Recorded(plan), _Planned()
    expected = {task_id: expect(task, known, planned, gpu) for task_id, task in tasks.items()}
    problems = list(dict.fromkeys(each.problem for each in expected.values() if each.problem))
    rows = [_row(task, expected[task_id], problems) for task_id, task in tasks.items()]
    calls, usd, seconds = _NOTHING, _NOTHING, _NOTHING
    for each in expected.values():
        calls, usd, seconds = calls + each.calls, usd + each.usd, seconds + each.seconds
    whole = ["together", "", "", _shown(calls, count_text), _shown(usd, usd_text), _shown(seconds, duration_text)]
    n_cells = sum(len(part.cells) for part in plan.parts)
    cells = "\n".join(_cells(part) for part in plan.parts)
    return (
        f"{n_cells} cells, {len(tasks)} tasks\n{cells}\n\n{markdown_table(_HEADER, [*rows, whole])}"
        f"{''.join(f'[{number}] {problem}{_BREAK}' for number, problem in enumerate(problems, start=1))}"
        "<= is a bound, by the recipe's limits; calls of local models cost none. Times, one "
        "task after the other: of a generation the provider's and the search's alone; of a training at the pace of one "
        "that this run has recorded, or on the GPU of --gpu; of an evaluation at that of recorded rows of the same "
        "system. Shared rows are made once, and taken over from another task.\n"
    )


def expect(task: Task, known: Recorded, planned: _Planned, gpu: str | None = None) -> Expected:
    """What is left of a task, beside what was `planned` before it, to which it is added."""
    try:
        match task.kind:
            case Kind.GENERATE:
                return _generation(task, known, planned)
            case Kind.CONVERT:
                return _conversion(task, planned)
            case Kind.TRAIN:
                return _training(task.recipe, known, gpu)
            case Kind.EVALUATE:
                return _evaluation(task, known, planned)
    except FireActError as error:
        return Expected("not planned", Amount(None), Amount(None), Amount(None), str(error))


def _generation(task: Task, known: Recorded, planned: _Planned) -> Expected:
    forecast = forecast_costs(task.recipe, 0, elsewhere=planned.rows | known.generated_like(task.recipe))
    planned.rows |= forecast.pending
    found = forecast.estimate
    planned.sizes[task.id] = found.n_pending + found.n_done + forecast.n_shared
    left = found.remaining
    hours = found.hours.get(found.binding) if found.binding else None
    pending = found.n_pending
    rows = _rows_text(pending, found.n_done, forecast.n_shared)
    if not pending:
        return Expected(rows, _NOTHING, _NOTHING, _NOTHING)
    seconds = None if hours is None else hours.each(lambda value: 3600 * value)
    return Expected(rows, _amount(left.calls), _amount(left.cost_usd), _amount(seconds))


def _conversion(task: Task, planned: _Planned) -> Expected:
    n, sizes = task.recipe.convert.n, [planned.sizes.get(each) for each in task.needs]
    n_rows = None if None in sizes else sum(size or 0 for size in sizes)
    if n is None or n_rows is None or n <= n_rows:
        return Expected("", _NOTHING, _NOTHING, _NOTHING)
    problem = (
        f"convert.n = {n}, and there will be {n_rows} rows to choose from, if all of them are right. Lower it, or "
        "generate more."
    )
    return Expected("too few", _NOTHING, _NOTHING, _NOTHING, problem)


def _training(recipe: Recipe, known: Recorded, gpu: str | None) -> Expected:
    if (Folder(recipe.run_dir) / "model").exists(MODEL_CARD):
        return Expected("done", _NOTHING, _NOTHING, _NOTHING)
    train, planned = recipe.train, None
    if gpu is not None and train.use_gpu:
        hours = plan_training(recipe, gpu).hours
        planned = None if hours is None else 3600 * hours
    if (n := _rows(recipe)) is None:
        return Expected(f"all rows x {train.epochs} epochs", _NOTHING, _NOTHING, Amount(planned))
    steps = train.epochs * math.ceil(round((1 - train.held_out) * n) / train.global_batch_size)
    if planned is None and (measured := known.steps(recipe)) is not None:
        planned = steps * measured.seconds
    return Expected(f"{n} rows, {steps} steps", _NOTHING, _NOTHING, Amount(planned))


def _rows(recipe: Recipe) -> int | None:
    """That it will learn from: those of its dataset, where there is one, else what convert is to choose."""
    dataset = Folder(recipe.run_dir) / "dataset"
    if not dataset.exists(MANIFEST):
        return recipe.convert.n
    rows = read_dataset_manifest(dataset).get("rows")
    return rows if isinstance(rows, int) else recipe.convert.n


def _evaluation(task: Task, known: Recorded, planned: _Planned) -> Expected:
    """The calls and the price of prompted API models are bounds; local models cost none. With a judge, both are
    unknown until there are answers."""
    recipe, questions = task.recipe, questions_of(task.recipe)
    keys = evaluations_of(recipe)
    left = expected_trials(
        recipe,
        questions,
        lambda trial: known.pace(task, trial),
        lambda trial: planned.questions[keys[trial.label]] | known.asked(keys[trial.label]),
    )
    for key in keys.values():
        planned.questions[key] |= {question.id for question in questions}
    planned.sizes[task.id] = len(left) * len(questions)
    calls, usd = (Amount(None), Amount(None)) if recipe.evaluate.judge else (_NOTHING, _NOTHING)
    for one in left:
        trial, n = one.trial, one.n
        if not n:
            continue
        if isinstance(trial.entry, TeacherSystem):
            each = _bound(recipe, trial.entry, questions)
            calls, usd = calls + _times(each.calls, n), usd + _times(each.cost_usd, n)
        elif isinstance(trial.entry, EndpointSystem):
            calls, usd = calls + Amount(float(n), False), Amount(None)
    seconds = sum((Amount(one.seconds) for one in left), _NOTHING)
    n_left, n_shared = sum(one.n for one in left), sum(one.n_shared for one in left)
    n_done = len(left) * len(questions) - n_left - n_shared
    return Expected(_rows_text(n_left, n_done, n_shared), calls, usd, seconds)


def _bound(recipe: Recipe, entry: TeacherSystem, questions: Sequence[Question]) -> Amounts[Range | None]:
    """Of one row."""
    if entry.model is not None or not questions:
        return Amounts.all(None)
    teacher = recipe.teacher.model_copy(
        update={"methods": (entry.method,), "limits": entry.limits or recipe.teacher.limits}
    )
    agents = TeacherAgents(recipe.model_copy(update={"teacher": teacher}), opened=False)(OfflineBackend("plan"))
    longest = max(questions, key=lambda question: len(question.text))
    return ceiling(agents[entry.method], longest, recipe.search.max_chars, teacher_price(recipe))


def _rows_text(n_left: int, n_done: int, n_shared: int) -> str:
    done = f", {n_done} done" if n_done else ""
    return f"{n_left} rows{done}{f', {n_shared} shared' if n_shared else ''}"


def _times(each: Range | None, n: int) -> Amount:
    return Amount(None) if each is None else Amount(n * each.high, False)


def _amount(found: Range | None) -> Amount:
    if found is None or math.isinf(found.likeliest):
        return Amount(None)
    return Amount(found.likeliest, found.expected is not None)


def _row(task: Task, expected: Expected, problems: Sequence[str]) -> list[str]:
    why = f" [{problems.index(expected.problem) + 1}]" if expected.problem else ""
    return [
        task.id,
        f"{len(task.cells)} cells" if len(task.cells) > 1 else task.cells[0],
        f"{expected.what}{why}",
        _shown(expected.calls, count_text),
        _shown(expected.usd, usd_text),
        _shown(expected.seconds, duration_text),
    ]


def _shown(amount: Amount, show: Callable[[float | None], str]) -> str:
    if amount.number is None:
        return UNKNOWN
    text = show(amount.number)
    return text if amount.exact else f"<= {text}"


def _cells(part: Part) -> str:
    names = ", ".join(cell.name for cell in part.cells)
    return f"- {part.config.name}: {part.config.question} ({names})"
