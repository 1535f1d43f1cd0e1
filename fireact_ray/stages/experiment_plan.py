"""Plan of an experiment: its cells, and the calls, dollars and hours of their tasks, before any of it is done.

Only forecasts that exist: of a generation, `fireact plan` without a pilot (measured where its folder holds rows, else
a bound); of a training, its rows and steps; of an evaluation, its rows. What nobody can tell is unknown, never 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fireact_ray.agent.placeholders import OfflineBackend
from fireact_ray.core.errors import FireActError
from fireact_ray.core.storage.artifacts import MODEL_CARD
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.types import Question
from fireact_ray.core.utils.markdown import markdown_table
from fireact_ray.core.utils.text import UNKNOWN, count_text, duration_text, usd_text
from fireact_ray.recipe.experiments.graph import Kind, Task
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.systems import EndpointSystem, TeacherSystem
from fireact_ray.recipe.teacher import TeacherAgents, teacher_price
from fireact_ray.recipe.trials import trials_of
from fireact_ray.rollouts.forecast.amounts import Amounts, Range
from fireact_ray.rollouts.forecast.estimate import ceiling
from fireact_ray.stages.experiment import Part, Plan
from fireact_ray.stages.forecast import forecast_costs
from fireact_ray.tasks import load_questions

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
    """Of one task. `what`: rows, or why nothing is known."""

    what: str
    calls: Amount
    usd: Amount
    seconds: Amount


_NOTHING = Amount(0.0)


def plan_text(plan: Plan) -> str:
    """All cells, then all tasks, each once, and their sum."""
    tasks: dict[str, Task] = {}
    for part in plan.parts:
        tasks |= {task_id: task for task_id, task in part.graph.tasks.items() if task_id not in tasks}
    expected = {task_id: expect(task) for task_id, task in tasks.items()}
    rows = [_row(task, expected[task_id]) for task_id, task in tasks.items()]
    calls, usd, seconds = _NOTHING, _NOTHING, _NOTHING
    for each in expected.values():
        calls, usd, seconds = calls + each.calls, usd + each.usd, seconds + each.seconds
    whole = ["together", "", "", _shown(calls, count_text), _shown(usd, usd_text), _shown(seconds, duration_text)]
    n_cells = sum(len(part.cells) for part in plan.parts)
    cells = "\n".join(_cells(part) for part in plan.parts)
    return (
        f"{n_cells} cells, {len(tasks)} tasks\n{cells}\n\n{markdown_table(_HEADER, [*rows, whole])}"
        "<= is a bound, by the recipe's limits; calls of local models cost none. Times are the provider's and the "
        "search's alone.\n"
    )


def expect(task: Task) -> Expected:
    """What is left of a task."""
    try:
        return {
            Kind.GENERATE: _generation,
            Kind.CONVERT: lambda _: Expected("", _NOTHING, _NOTHING, _NOTHING),
            Kind.TRAIN: _training,
            Kind.EVALUATE: _evaluation,
        }[task.kind](task.recipe)
    except FireActError as error:
        return Expected(f"not planned: {error}", Amount(None), Amount(None), Amount(None))


def _generation(recipe: Recipe) -> Expected:
    found = forecast_costs(recipe, 0).estimate
    left = found.remaining
    hours = found.hours.get(found.binding) if found.binding else None
    pending, done = found.n_pending, found.n_done
    rows = f"{pending} rows, {done} done"
    if not pending:
        return Expected(rows, _NOTHING, _NOTHING, _NOTHING)
    seconds = None if hours is None else hours.each(lambda value: 3600 * value)
    return Expected(rows, _amount(left.calls), _amount(left.cost_usd), _amount(seconds))


def _training(recipe: Recipe) -> Expected:
    if (Folder(recipe.run_dir) / "model").exists(MODEL_CARD):
        return Expected("done", _NOTHING, _NOTHING, _NOTHING)
    n, train = recipe.convert.n, recipe.train
    if n is None:
        return Expected(f"all rows x {train.epochs} epochs", _NOTHING, _NOTHING, Amount(None))
    steps = train.epochs * math.ceil(n / train.global_batch_size)
    return Expected(f"{n} rows, {steps} steps", _NOTHING, _NOTHING, Amount(None))


def _evaluation(recipe: Recipe) -> Expected:
    """The calls and the price of prompted API models are bounds; local models cost none."""
    config = recipe.evaluate
    questions = load_questions(recipe.task.name, recipe.task.path, config.split, config.n_questions)
    trials = trials_of(recipe)
    calls, usd = _NOTHING, _NOTHING
    for trial in trials:
        if isinstance(trial.entry, TeacherSystem):
            each = _bound(recipe, trial.entry, questions)
            calls, usd = calls + _times(each.calls, len(questions)), usd + _times(each.cost_usd, len(questions))
        elif isinstance(trial.entry, EndpointSystem):
            calls, usd = calls + Amount(float(len(questions)), False), Amount(None)
    return Expected(f"{len(trials) * len(questions)} rows", calls, usd, Amount(None))


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


def _times(each: Range | None, n: int) -> Amount:
    return Amount(None) if each is None else Amount(n * each.high, False)


def _amount(found: Range | None) -> Amount:
    if found is None or math.isinf(found.likeliest):
        return Amount(None)
    return Amount(found.likeliest, found.expected is not None)


def _row(task: Task, expected: Expected) -> list[str]:
    return [
        task.id,
        f"{len(task.cells)} cells" if len(task.cells) > 1 else task.cells[0],
        expected.what,
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
