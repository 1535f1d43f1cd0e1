"""The curve of a training's losses as a picture."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fireact_ray.training.progress.entries import TrainEntry, curves

_LABELS = {"loss": "trained rows", "held_out_loss": "held-out rows"}


def draw_losses(entries: Iterable[TrainEntry], file: Path, title: str) -> None:
    """A PNG of loss over steps; nothing is drawn where there is no entry. An earlier picture is replaced whole."""
    named = curves(entries)
    if not named:
        return
    from matplotlib.figure import Figure  # not pyplot, which looks for a screen and keeps figures alive

    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    axes = figure.add_subplot(title=title, xlabel="step", ylabel="loss, nats per trained token")
    for name, (steps, losses) in named.items():
        is_sparse = name == "held_out_loss" or len(steps) == 1
        axes.plot(steps, losses, marker="o" if is_sparse else None, label=_LABELS[name])
    axes.grid(alpha=0.3)
    axes.legend()
    temporary = file.with_name(f".{file.name}.tmp")
    figure.savefig(temporary, format="png")
    temporary.replace(file)
