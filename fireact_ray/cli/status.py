"""How a run stands: its audit, what is paid, and, while it goes on, how fast it goes. Reads only.

A run that is going on writes progress.json every few seconds and once at its end (rollouts.progress). What is paid
comes from the journals, so replies of rows that are not whole yet are counted too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.text import Text

from fireact_ray.agent.quota.budget import Spent
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.utils.text import duration_text, usd_text
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.teacher import teacher_price
from fireact_ray.rollouts.audit import Audit, audit
from fireact_ray.rollouts.journal import paid_for
from fireact_ray.rollouts.progress import Progress, read_progress
from fireact_ray.rollouts.retries import planned_of, read_failures

_READING_SHARE = 0.1  # of the time of watching: a large run takes a while to read


@dataclass(frozen=True, slots=True)
class Status:
    """`paid`: by the run's journal, the replies of rows that are not whole included; `paid_usd` None: unknown.
    `n_retried`: failed rows that the next run asks again."""

    audit: Audit
    paid: Spent
    paid_usd: float | None
    n_retried: int = 0


def show_status(run: Folder, console: Console) -> None:
    """Once. Raises InputError where there is no run."""
    _print(console, status_text(read_status(run), read_progress(run), time.time()))


def watch_status(run: Folder, console: Console, every_s: float = 2.0) -> None:
    """Until the run ends or gives no more sign of life: a live page on a terminal, a line each time in a log."""
    looks = _Looks(run)
    if console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:
            _watch(run, every_s, lambda progress: live.update(Text(looks.text(progress)), refresh=True))
        return
    _watch(run, every_s, lambda progress: _print(console, progress_text(progress, time.time())) if progress else None)
    show_status(run, console)


def read_status(run: Folder) -> Status:
    """Raises InputError where there is no run."""
    found = audit(run)
    recipe = _recipe(run)
    paid, price = paid_for(run / "journal"), teacher_price(recipe) if recipe else None
    retried = read_failures(run).retryable(recipe.generate.max_retries if recipe else 0)
    paid_usd = None if price is None else price.cost_usd(paid.usage)
    return Status(found, paid, paid_usd, len(planned_of(run, retried)))


def status_text(status: Status, progress: Progress | None, now: float) -> str:
    parts = [audit_text(status.audit), _paid_text(status)]
    if status.n_retried:
        parts.append(f"{status.n_retried} failed rows are retried by the next `fireact generate`")
    return "\n".join([*parts, progress_text(progress, now)] if progress else parts)


def audit_text(found: Audit) -> str:
    rows: dict[str, object] = {
        "planned": found.planned,
        "finished": found.done,
        "- correct": found.correct,
        "- accepted": sum(found.accepted.values()),
        "stopped": sum(found.stopped.values()),
        **{f"- {reason}": n for reason, n in sorted(found.stopped.items())},
        "failed": sum(found.failed.values()),
        **{f"- {kind}": n for kind, n in sorted(found.failed.items())},
        "skipped": found.skipped,
        "pending": found.pending,
        "not in the plan": found.unplanned,
        "prompt tokens": found.prompt_tokens,
        "completion tokens": found.completion_tokens,
        "cost in USD": usd_text(found.cost_usd),
    }
    return "\n".join(f"{name:20} {value:>12}" for name, value in rows.items())


def progress_text(progress: Progress, now: float) -> str:
    done = f"{progress.label}: {progress.before + progress.done} of {progress.planned} rows"
    since = f"{progress.done} in this session, {progress.accepted} of them accepted"
    if not progress.running:
        return f"{done}, {since}; ended"
    if (silent_s := progress.silent_for_s(now)) is not None:
        return f"{done}, {since}; no sign of life for {silent_s:.0f} s: interrupted? run the same command again"
    return f"{done}, {since}; {progress.rows_per_minute:.1f} rows/min, {duration_text(progress.eta_s)} to go"


class _Looks:
    """The page of a run that is watched. Its audit is read again where that takes a small share of the time only, and
    at the end."""

    def __init__(self, run: Folder) -> None:
        self._run = run
        self._read_again_at = 0.0

    def text(self, progress: Progress | None) -> str:
        now, started = time.time(), time.monotonic()
        if started >= self._read_again_at or progress is None or not progress.is_live(now):
            self._status = read_status(self._run)
            took_s = time.monotonic() - started
            self._read_again_at = started + took_s / _READING_SHARE
        return status_text(self._status, progress, now)


def _watch(run: Folder, every_s: float, show: Callable[[Progress | None], None]) -> None:
    while True:
        progress = read_progress(run)
        show(progress)
        if progress is None or not progress.is_live(time.time()):
            return
        time.sleep(every_s)


def _recipe(run: Folder) -> Recipe | None:
    if not run.exists("recipe.yaml"):
        return None
    without_cap = ["generate.budget={}"]  # with one, an unknown price is an error
    return load_recipe((run / "recipe.yaml").uri, without_cap)


def _paid_text(status: Status) -> str:
    paid, usage = status.paid, status.paid.usage
    return (
        f"paid by the journal, rows that are not whole included: {paid.calls} calls, {usage.prompt_tokens} prompt and "
        f"{usage.completion_tokens} completion tokens, USD {usd_text(status.paid_usd)}"
    )


def _print(console: Console, text: str) -> None:
    console.print(Text(text), soft_wrap=True)
