"""What a training says while it runs, for people: log.jsonl, a line of progress, trackers, and at the end a picture."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fireact_ray.core.utils.progress import Steps
from fireact_ray.core.utils.text import duration_text
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.progress.entries import AgentMetrics, TrainEntry
from fireact_ray.training.progress.session import begin_log, written_log
from fireact_ray.training.trackers import Tracked, open_trackers
from fireact_ray.training.trackers.base import IDS
from fireact_ray.training.trackers.sending import Sender


@contextmanager
def trackers_of(
    name: str, trackers: tuple[str, ...], config: TrainConfig, checkpoints: Path, *, goes_on: bool
) -> Iterator[Sender]:
    """Open before anything else starts. Raises InputError where one of them cannot be.

    `goes_on`: from a checkpoint. Otherwise the log, and the trackers' runs, of an attempt that came to none are no part
    of this training.
    """
    entries = begin_log(checkpoints, goes_on=goes_on)
    if not goes_on:
        (checkpoints / IDS).unlink(missing_ok=True)
    told_to = entries[-1]["step"] if entries else 0
    with open_trackers(trackers, Tracked(name, config.to_dict(), checkpoints), told_to) as sender:
        yield sender


@contextmanager
def said_of(name: str, checkpoints: Path, sender: Sender) -> Iterator[Said]:
    """However the training ends, the curve of all its sessions is drawn."""
    with Steps("train", total=0) as steps, written_log(checkpoints, name) as write:
        yield Said(write, steps, sender)


class Said:
    """What is called with each entry, and with metrics of the agent; in whatever thread these become known."""

    def __init__(self, write: Callable[[TrainEntry | AgentMetrics], None], steps: Steps, sender: Sender) -> None:
        self._write, self._steps, self._sender = write, steps, sender
        self._metrics: AgentMetrics | None = None
        self._one_at_a_time = threading.Lock()

    def entry(self, entry: TrainEntry) -> None:
        with self._one_at_a_time:
            self._write(entry)
            self._steps.set(entry["step"], entry["of"], note_of(entry, self._metrics))
            self._sender.put(entry)

    def metrics(self, metrics: AgentMetrics) -> None:
        with self._one_at_a_time:
            self._metrics = metrics
            self._write(metrics)
            self._sender.put_metrics(metrics)


def note_of(entry: TrainEntry, metrics: AgentMetrics | None = None) -> str:
    """An entry in a line, behind its step; with the newest metrics."""
    parts = [f"loss {entry['loss']:.3f}"]
    if "held_out_loss" in entry:
        parts.append(f"held out {entry['held_out_loss']:.3f}")
    if metrics is not None:
        parts.append(f"EM {metrics['agent_em']:.0%} after step {metrics['agent_step']}")
    parts.append(f"{entry['tokens_per_s']:,.0f} tokens/s")
    if "mfu" in entry:
        parts.append(f"MFU {entry['mfu']:.0%}")
    parts.append(f"{entry['memory_gib']:.1f} GiB")
    if entry["step"] < entry["of"]:
        parts.append(f"{duration_text(entry['eta_s'])} left")
    return ", ".join(parts)
