"""Trajectories and training rows on a terminal. Their text is data: it is never read as markup or control codes."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.text import Text

from fireact_ray.assembly import base_model_dir
from fireact_ray.curation.examples import to_example
from fireact_ray.errors import InputError
from fireact_ray.methods.grammar import ACTION, OBSERVATION, THOUGHT, canonical_line
from fireact_ray.recipe_loader import load_recipe
from fireact_ray.rendering import make_renderer
from fireact_ray.rendering.base import Rendered
from fireact_ray.rendering.tokenizer import HubTokenizer
from fireact_ray.store import Folder, read_trajectories
from fireact_ray.types import Step, Trajectory


def show_trajectory(run_dir: Path, row: int, console: Console) -> None:
    trajectory = _trajectory(run_dir, row)
    _line(console, "Question:", trajectory.question.text, "bold")
    for step in trajectory.steps:
        _print_step(step, console)
    print_event(trajectory, console)


def show_tokens(run_dir: Path, row: int, console: Console) -> None:
    """The training row of a trajectory: trained tokens green, context grey; brackets where there is no colour."""
    trajectory = _trajectory(run_dir, row)
    recipe = load_recipe(str(run_dir / "recipe.yaml"))
    tokenizer = HubTokenizer.load(base_model_dir(recipe.student.base_model))
    rendered = make_renderer(recipe.student.renderer, tokenizer).render(to_example(trajectory, recipe.convert.min_f1))
    coloured = console.is_terminal and not console.no_color
    console.print(mark_tokens(rendered, tokenizer, coloured=coloured), soft_wrap=True)
    n_trained = sum(rendered.loss_mask)
    console.print(f"{len(rendered.input_ids)} tokens, {n_trained} trained", style="dim")


def mark_tokens(rendered: Rendered, tokenizer: HubTokenizer, *, coloured: bool) -> Text:
    """Runs of trained tokens in green, or within ⟦ ⟧ without colour; end tokens are shown by name."""
    text, start = Text(), 0
    mask = rendered.loss_mask
    for end in range(1, len(mask) + 1):
        if end < len(mask) and mask[end] == mask[start]:
            continue
        piece = _inert(tokenizer.show(rendered.input_ids[start:end]))
        if coloured:
            text.append(piece, style="green" if mask[start] else "bright_black")
        else:
            text.append(f"⟦{piece}⟧" if mask[start] else piece)
        start = end
    return text


def print_event(event: Step | Trajectory, console: Console) -> None:
    """A step as it happens, or how the trajectory ended."""
    if isinstance(event, Step):
        _print_step(event, console)
        return
    outcome = event.answer if event.answer is not None else f"none ({event.stop_reason})"
    _line(console, "Answer:", outcome, "bold green" if event.answer is not None else "bold red")
    score = f", EM {event.score.exact_match:.0f}" if event.score else ""
    console.print(
        f"{len(event.steps)} steps, {event.n_searches} searches, {event.wall_time_s:.2f} s{score}",
        style="dim",
    )


def _print_step(step: Step, console: Console) -> None:
    _line(console, THOUGHT, step.thought, "")
    action = f"{step.action.tool}[{step.action.argument}]" if step.action else "(no usable action)"
    _line(console, ACTION, action, "cyan")
    if step.observation:
        _line(console, OBSERVATION, step.observation.text, "bright_black")


def _inert(text: str) -> str:
    """Whatever a terminal might obey (escapes, direction overrides) becomes a replacement character."""
    return "".join(c if c == "\n" or c.isprintable() else "\ufffd" for c in text)


def _line(console: Console, label: str, text: str, style: str) -> None:
    console.print(Text.assemble((label, "bold"), " ", (canonical_line(text), style)), soft_wrap=True)


def _trajectory(run_dir: Path, row: int) -> Trajectory:
    trajectories = read_trajectories(Folder(str(run_dir)) / "trajectories")
    if not trajectories:
        raise InputError(f"{run_dir}: no trajectories there. Give a run folder, such as runs/demo.")
    if not 0 <= row < len(trajectories):
        raise InputError(f"--row {row}: {run_dir} holds rows 0 to {len(trajectories) - 1}.")
    return trajectories[row]
