"""An estimate as text: a table of amounts, how long at which limit, whether it fits the budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fireact_ray.core.utils.markdown import markdown_table
from fireact_ray.core.utils.text import UNKNOWN, count_text, duration_text, usd_text
from fireact_ray.rollouts.forecast.amounts import Known, Range, known
from fireact_ray.rollouts.forecast.budget_fit import Fit
from fireact_ray.rollouts.forecast.estimate import Estimate

_AMOUNTS = {
    "calls": "teacher calls",
    "prompt_tokens": "prompt tokens",
    "completion_tokens": "completion tokens",
    "searches": "searches",
    "cost_usd": "cost in USD",
}
_HEADER = ("", "done", "remaining", "low", "high", "total")


def forecast_text(estimate: Estimate, fits: Sequence[Fit], *, may_shrink: bool = False) -> str:
    """`may_shrink`: pending rows may yet be skipped."""
    shrinking = ["rows that need not be run make it cheaper: all are reckoned with"] if may_shrink else []
    return "\n".join(
        [*_about_rows(estimate), *shrinking, "", _table(estimate), *_about_time(estimate), *_about_budget(fits)]
    )


def _about_rows(estimate: Estimate) -> list[str]:
    n_done, n_pending = estimate.n_done, estimate.n_pending
    rows = f"{n_done + n_pending} rows planned, {n_done} done, {n_pending} pending"
    measured = ", ".join(f"{method} on {n}" for method, n in estimate.measured.items())
    lines = [rows, f"measured: {measured} questions; low and high: 95 %" if measured else "measured: nothing"]
    if estimate.unmeasured:
        names = ", ".join(estimate.unmeasured)
        lines.append(f"{names}: an upper bound from prompts and limits, NO measurement (--pilot 20 makes one)")
    return lines


def _table(estimate: Estimate) -> str:
    cells = []
    for name, label in _AMOUNTS.items():
        show = usd_text if name == "cost_usd" else count_text
        done: Known = getattr(estimate.taken, name)
        more: Range | None = getattr(estimate.remaining, name)
        whole: Range | None = getattr(estimate.total, name)
        low, high = (None, None) if more is None else (more.low, more.high)
        cells.append([label, show(done), _expected(more, show), show(low), show(high), _expected(whole, show)])
    return markdown_table(_HEADER, cells)


def _about_time(estimate: Estimate) -> list[str]:
    if not estimate.n_pending:
        return []
    by_limit = [
        f"- {name}: {known(_span, hours) or UNKNOWN}{', this one binds' if name == estimate.binding else ''}"
        for name, hours in estimate.hours.items()
    ]
    return ["time at each limit alone, without the work of this machine:", *by_limit]


def _about_budget(fits: Sequence[Fit]) -> list[str]:
    return [f"budget {fit.name} = {fit.limit:g}: {_verdict(fit)}" for fit in fits]


def _verdict(fit: Fit) -> str:
    if fit.share is None:
        return "unknown whether it suffices"
    if fit.share < 1:
        least = "at least " if fit.need is not None and fit.need.expected is None else "about "
        return f"does not suffice, {least}{fit.share:.0%} of the pending rows would be done"
    return "suffices" if fit.is_certain else "suffices for what is expected, not for the upper end"


def _expected(amount: Range | None, show: Callable[[float | None], str]) -> str:
    if amount is None:
        return UNKNOWN
    return f"<= {show(amount.high)}" if amount.expected is None else show(amount.expected)


def _span(hours: Range) -> str:
    if hours.expected is None:
        return f"at most {duration_text(3600 * hours.high)}"
    low, expected, high = (duration_text(3600 * x) for x in (hours.low, hours.expected, hours.high))
    return f"{expected} ({low} to {high})"
