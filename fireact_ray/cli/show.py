"""Trajectories and training rows on a terminal. Their text is data: it is never read as markup or control codes."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from fireact_ray.core.errors import InputError
from fireact_ray.core.grammar import ACTION, OBSERVATION, THOUGHT
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.types import Step, Trajectory
from fireact_ray.data.examples import is_correct, to_example
from fireact_ray.data.formats.records import Record, read_records
from fireact_ray.evaluation.viewer.trained import ShowsIds, Student
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.student import base_model_dir
from fireact_ray.rendering import make_renderer
from fireact_ray.rendering.base import Rendered
from fireact_ray.rendering.tokenizer import HubTokenizer

_SHOWN_ROWS = 20


def show(path: str, console: Console, *, row: int | None, where: str | None, recipe: str | None, tokens: bool) -> None:
    """One row of a run folder or file: the first, or the first from number `row` on that `where` picks.

    Rows have the numbers of `fireact lint`: from 1, and a line's in JSON lines. `tokens`: the training row, by the
    student of `recipe`, or of the run. Raises InputError where there is no such row.
    """
    records = read_records(path)
    picked = [record for record in records if where is None or where in _kinds_of(record)]
    if not picked:
        raise InputError(f"{path}: no row is '{where}'. There are: {', '.join(_kinds(records)) or 'no rows'}.")
    record = _from(row, picked, path, exactly=where is None)
    _print_place(record, records, picked, where, console)
    if tokens and record.trajectory:
        _print_tokens(record.trajectory, student_of(path, recipe), console)
    else:
        print_record(record, console)


def print_record(record: Record, console: Console) -> None:
    """A trajectory step by step, or what stands where none can be read."""
    trajectory = record.trajectory
    if trajectory is None:
        _line(console, "Unreadable:", record.fault, "bold red")
        for turn in record.turns:
            _line(console, f"{turn.role}:", turn.written, "")
        return
    _print_header(trajectory, console)
    _line(console, "Question:", trajectory.question.text, "bold")
    for step in trajectory.steps:
        _print_step(step, console)
    print_event(trajectory, console)


def student_of(path: str, recipe: str | None) -> Student:
    """Whose tokens are meant: the student of `recipe`, or else of the run at `path`. Raises InputError for neither."""
    loaded = _recipe_of(path, recipe)
    tokenizer = HubTokenizer.load(base_model_dir(loaded.student.tokenizer_model))
    return Student(make_renderer(loaded.student.renderer, tokenizer), tokenizer, loaded.convert.min_f1)


def mark_tokens(rendered: Rendered, tokenizer: ShowsIds, *, coloured: bool) -> Text:
    """Runs of trained tokens in green, or within ⟦ ⟧ without colour; end tokens are shown by name."""
    text, start = Text(), 0
    mask = rendered.loss_mask
    for end in range(1, len(mask) + 1):
        if end < len(mask) and mask[end] == mask[start]:
            continue
        piece = _inert(tokenizer.show(rendered.input_ids[start:end]), keep="\n")
        if coloured:
            text.append(piece, style="green" if mask[start] else "bright_black")
        else:
            text.append(f"⟦{piece}⟧" if mask[start] else piece)
        start = end
    return text


def print_event(event: Step | Trajectory, console: Console) -> None:
    """A step as it happens, or how the trajectory ended, and why where it failed."""
    if isinstance(event, Step):
        _print_step(event, console)
        return
    if event.error:
        _line(console, "Error:", event.error, "red")
    outcome = event.answer if event.answer is not None else f"none ({event.stop_reason})"
    _line(console, "Answer:", outcome, "bold green" if event.answer is not None else "bold red")
    score = f", EM {event.score.exact_match:.0f}" if event.score else ""
    _dim(console, f"{len(event.steps)} steps, {event.n_searches} searches, {event.wall_time_s:.2f} s{score}")


def _kinds(records: Sequence[Record]) -> list[str]:
    """What `where` can ask for: a verdict, a method or a stop reason that occurs."""
    return sorted({kind for record in records for kind in _kinds_of(record)})


def _kinds_of(record: Record) -> tuple[str, ...]:
    trajectory = record.trajectory
    if trajectory is None:
        return ("unreadable",)
    score = trajectory.score
    verdict = "unscored" if score is None else "correct" if is_correct(score) else "wrong"
    return verdict, trajectory.method, str(trajectory.stop_reason)


def _from(row: int | None, picked: Sequence[Record], path: str, *, exactly: bool) -> Record:
    found = next((record for record in picked if row is None or record.row >= row), None)
    if found is None or (exactly and row is not None and found.row != row):
        raise InputError(f"--row {row}: {path} holds rows {picked[0].row} to {picked[-1].row}, and no such one.")
    return found


def _print_place(
    record: Record, records: Sequence[Record], picked: Sequence[Record], where: str | None, console: Console
) -> None:
    _dim(console, f"row {record.row} of {len(records)}")
    if where is not None:
        more = " ..." if len(picked) > _SHOWN_ROWS else ""
        _dim(console, f"{len(picked)} are {where}: {' '.join(str(r.row) for r in picked[:_SHOWN_ROWS])}{more}")


def _print_header(trajectory: Trajectory, console: Console) -> None:
    question, score, usage = trajectory.question, trajectory.score, trajectory.usage
    cost = "unknown cost" if trajectory.cost_usd is None else f"${trajectory.cost_usd:.6f}"
    marks = f"EM {score.exact_match:.2f}, F1 {score.f1:.2f}" if score else "unscored"
    place = "/".join(part for part in (question.task, question.id, question.kind) if part)
    _dim(console, f"trajectory {trajectory.trajectory_id}, question {place}")
    _dim(
        console,
        f"{trajectory.method} by {trajectory.model}, attempt {trajectory.attempt}, {trajectory.stop_reason}, {marks}, "
        f"{cost}, {usage.prompt_tokens} + {usage.completion_tokens} tokens",
    )
    if question.answers:
        _dim(console, f"expected: {' | '.join(question.answers)}")


def _print_step(step: Step, console: Console) -> None:
    _line(console, THOUGHT, step.thought, "")
    action = f"{step.action.tool}[{step.action.argument}]" if step.action else "(no usable action)"
    _line(console, ACTION, action, "cyan")
    if step.observation:
        _line(console, OBSERVATION, step.observation.text, "bright_black")
    if step.model_latency_s or step.usage.completion_tokens:  # nobody measured an imported step
        search = f", search {step.tool_latency_s:.2f} s" if step.observation else ""
        usage = step.usage
        _dim(
            console,
            f"  model {step.model_latency_s:.2f} s, {usage.prompt_tokens} + {usage.completion_tokens} tokens{search}",
        )


def _print_tokens(trajectory: Trajectory, student: Student, console: Console) -> None:
    rendered = student.renderer.render(to_example(trajectory, student.min_f1))
    coloured = console.is_terminal and not console.no_color
    console.print(mark_tokens(rendered, student.tokenizer, coloured=coloured), soft_wrap=True)
    _dim(console, f"{len(rendered.input_ids)} tokens, {sum(rendered.loss_mask)} trained")


def _recipe_of(path: str, recipe: str | None) -> Recipe:
    if recipe is not None:
        return load_recipe(recipe)
    run = Folder(path)
    if not run.exists("recipe.yaml"):
        raise InputError(f"--tokens: {path} names no student. Give --recipe, a run's recipe.yaml or such as 'demo'.")
    return load_recipe((run / "recipe.yaml").uri)


def _inert(text: str, keep: str = "") -> str:
    """Whatever a terminal might obey (escapes, direction overrides) becomes a replacement character."""
    return "".join(c if c in keep or c.isprintable() else " " if c.isspace() else "\ufffd" for c in text)


def _line(console: Console, label: str, text: str, style: str) -> None:
    console.print(Text.assemble((label, "bold"), " ", (_inert(text), style)), soft_wrap=True)


def _dim(console: Console, text: str) -> None:
    console.print(Text(_inert(text), style="dim"), soft_wrap=True)
