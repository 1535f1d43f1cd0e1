"""What a training says every few steps: one entry, by the same names wherever it is shown; and what its agent scored.

log.jsonl holds an entry or metrics per line, each written whole before the next. A training that goes on from a
checkpoint takes the steps behind it again, and says so again: of a step that stands there twice, the last one counts.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from fireact_ray.core.json_text import NotJson, parse

log = logging.getLogger(__name__)


class TrainEntry(TypedDict):
    """Losses are in nats per trained token. What is said of an interval is since the entry before, over all workers.

    `mfu`: model FLOPs a second over the GPUs' peak; absent on a CPU, for a GPU whose peak is not known, and for a model
    whose FLOPs are not. `held_out_loss`: only where it was measured. Versions before these fields wrote fewer.
    """

    step: int  # taken so far, of `of`
    of: int
    epoch: int  # from 1
    learning_rate: float  # of this step
    loss: float  # mean of the interval
    grad_norm: float  # of this step, before clipping
    trained_tokens_per_s: float
    tokens_per_s: float  # without padding
    padding_share: float  # of the tokens computed
    input_stall_share: float  # of the time, in which worker 0 waited for its batches
    memory_gib: float  # the most so far, of worker 0: allocated on its GPU; resident, where it computes on a CPU
    eta_s: float  # until the last step, at the pace of this session
    precision: str  # and why
    mfu: NotRequired[float]
    held_out_loss: NotRequired[float]


class AgentMetrics(TypedDict):
    """Of the agent that the checkpoint after `agent_step` steps is; known later than entries of that step."""

    agent_step: int
    agent_em: float  # exact match, 0 to 1
    agent_questions: int


def read_log(file: Path) -> list[TrainEntry]:
    """In the order of their steps, each step once. None where there is no file; lines that are cut off are counted."""
    entries: dict[int, TrainEntry] = {line["step"]: line for line in _lines(file) if "step" in line}
    return [entries[step] for step in sorted(entries)]


def _lines(file: Path) -> list[Any]:
    found, cut = [], 0
    for line in file.read_bytes().splitlines() if file.is_file() else ():
        try:
            found.append(parse(line))
        except NotJson:
            cut += 1
    if cut:
        log.warning("%s: %d lines are not whole, they are left out", file, cut)
    return found


class LogFile:
    """Appends to log.jsonl. A line that a killed writer left without its end is ended first."""

    def __init__(self, file: Path) -> None:
        torn = file.is_file() and (written := file.read_bytes()) and not written.endswith(b"\n")
        self._stream = file.open("a", encoding="utf-8")
        if torn:
            self._stream.write("\n")

    def write(self, line: TrainEntry | AgentMetrics) -> None:
        self._stream.write(json.dumps(line) + "\n")
        self._stream.flush()

    def close(self) -> None:
        self._stream.close()


def curves(entries: Iterable[TrainEntry]) -> dict[str, tuple[list[int], list[float]]]:
    """Steps and losses: of the rows that were trained on and, where it was measured, of those held out."""
    named: dict[str, tuple[list[int], list[float]]] = {}
    for entry in entries:
        for name in ("loss", "held_out_loss"):
            if (loss := entry.get(name)) is not None:
                steps, losses = named.setdefault(name, ([], []))
                steps.append(entry["step"])
                losses.append(float(loss))  # type: ignore[arg-type]
    return named
