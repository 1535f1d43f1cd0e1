"""Reports in, tables out: one system on a page, several side by side, as Markdown and as plain JSON types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fireact_ray.core.utils.markdown import UNKNOWN, markdown_table, shown
from fireact_ray.evaluation.costs import QUANTITIES, Distribution
from fireact_ray.evaluation.metrics import GUESSES, OTHERS, Metrics
from fireact_ray.evaluation.paired import Paired, compare_paired
from fireact_ray.evaluation.report import Report

EM_AND_F1 = ("EM % [95%]", "F1 % [95%]")
_NAMES = {
    "precision": "precision %",
    "recall": "recall %",
    "cover_em": "cover-EM %",
    "yes_no_accuracy": "yes/no %",
    "choice_accuracy": "choice %",
}
GUESS_NAMES = {"always_no": "always no %", "coin": "coin %"}
_COUNTED = ("steps", "searches")  # shown value by value


def report_page(report: Report) -> str:
    """One system: what became of its rows, scores by task and kind, and what a trial took."""
    parts = [
        f"# {report.name}\n",
        f"{outcomes(report)}. {report.n_unscored} without a known answer, not scored.\n",
        metrics_table(report),
        judge_line(report),
        trials_table(report.per_trial),
        *(histogram_line(name, report.per_trial[name]) for name in _COUNTED),
    ]
    return "\n".join(part for part in parts if part)


def outcomes(report: Report) -> str:
    """What became of the planned rows, in the words of `fireact status`."""
    parts = [f"{report.n_finished} finished"]
    for name, by_cause in (("stopped", report.stopped), ("failed", report.failed)):
        if by_cause:
            causes = ", ".join(f"{count} {cause}" for cause, count in by_cause.items())
            parts.append(f"{sum(by_cause.values())} {name} ({causes})")
    return f"{report.n_planned} planned: {', '.join(parts)}"


def judge_line(report: Report) -> str:
    """Nothing where no judge was asked."""
    return f"{report.judged.sentence}.\n" if report.judged else ""


def metrics_table(report: Report) -> str:
    """All questions, then by task, by method and by kind; of the other metrics, those that some row has."""
    lines = [
        ("all", report.metrics),
        *report.metrics_by_task.items(),
        *report.metrics_by_method.items(),
        *report.metrics_by_kind.items(),
    ]
    others = [name for name in OTHERS if any(metrics and name in metrics.others for _, metrics in lines)]
    guessed = [name for name in GUESSES if any(metrics and name in metrics.guesses for _, metrics in lines)]
    rows = [
        [
            name,
            *em_and_f1(metrics),
            *_other_cells(metrics, others),
            *_guess_cells(metrics, guessed),
            _n_rows(metrics),
        ]
        for name, metrics in lines
    ]
    names = [*(_NAMES[name] for name in others), *(GUESS_NAMES[name] for name in guessed)]
    return markdown_table(["questions", *EM_AND_F1, *names, "n"], rows)


def _n_rows(metrics: Metrics | None) -> str:
    """With the number of questions where rows ask some of them more than once."""
    if metrics is None:
        return "0"
    return str(metrics.n) if metrics.n == metrics.n_questions else f"{metrics.n} of {metrics.n_questions} questions"


def kinds_markdown(reports: Sequence[Report]) -> str:
    """Exact match in percent by kind of question, of each system, how many points the last is above the first, and what
    guesses would have; empty without kinds."""
    kinds = sorted({kind for report in reports for kind in report.metrics_by_kind})
    if not kinds:
        return ""
    last = reports[-1].metrics_by_kind
    guessed = [name for name in GUESSES if any(name in metrics.guesses for metrics in last.values())]
    gain = [f"{reports[-1].name} - {reports[0].name}"] if len(reports) > 1 else []
    rows = []
    for kind in kinds:
        found = [report.metrics_by_kind.get(kind) for report in reports]
        cells = [shown(metrics and metrics.em.percent, ".1f") for metrics in found]
        gained = [shown(_points(found[0], found[-1]), "+.1f") for _ in gain]
        rows.append([kind, *cells, *gained, *_guess_cells(found[-1], guessed), str(found[-1].n if found[-1] else 0)])
    names = [*(report.name for report in reports), *gain, *(GUESS_NAMES[name] for name in guessed)]
    return markdown_table(["EM % by kind", *names, "n"], rows)


def _points(before: Metrics | None, after: Metrics | None) -> float | None:
    """None where one of them was not asked, or they were not asked as many."""
    return after.em.percent - before.em.percent if before and after and before.n == after.n else None


def trials_table(per_trial: Mapping[str, Distribution | None]) -> str:
    """What a trial took; `-` is unknown, `rows` those of which it is known."""
    rows = [[words, *_trial_cells(name, per_trial.get(name))] for name, words in QUANTITIES.items()]
    return markdown_table(["per trial", "mean", "sd", "min", "median", "max", "total", "rows"], rows)


def histogram_line(name: str, found: Distribution | None) -> str:
    if found is None:
        return ""
    return f"{QUANTITIES[name]}: " + ", ".join(f"{low:g} in {n} rows" for low, _, n in found.bins) + "\n"


def comparison_table(reports: Sequence[Report], first: Report | None = None) -> list[dict[str, Any]]:
    """One row of plain JSON types per report. `first`: what they are compared with; the first one where it is None.

    `versus_first` compares exact match with that report's, by question, in percentage points; it is None for itself,
    and where the questions were others.
    """
    first = first or reports[0]
    return [
        {
            "system": report.name,
            "em": report.metrics.em.to_dict() if report.metrics else None,
            "f1": report.metrics.f1.to_dict() if report.metrics else None,
            "searches_per_question": report.searches_per_question,
            "seconds_per_question": report.seconds_per_question,
            "n": report.n_planned,
            "versus_first": difference_dict(versus(first, report)),
            **({"judge": report.judged.right.to_dict()} if report.judged else {}),
        }
        for report in reports
    ]


def comparison_markdown(reports: Sequence[Report], first: Report | None = None) -> str:
    """The same table to read."""
    first = first or reports[0]
    compared = [f"EM vs {first.name}", "p"] if len(reports) > 1 else []
    judge = ["judge % [95%]"] if any(report.judged for report in reports) else []
    header = ["system", *EM_AND_F1, *judge, "searches", "s/question", "n", *compared]
    rows = [
        [
            report.name,
            *em_and_f1(report.metrics),
            *[shown(report.judged and report.judged.right.measure)][: len(judge)],
            shown(report.searches_per_question, ".2f"),
            shown(report.seconds_per_question, ".2f"),
            str(report.n_planned),
            *difference_cells(versus(first, report))[: len(compared)],
        ]
        for report in reports
    ]
    return markdown_table(header, rows)


def _guess_cells(metrics: Metrics | None, names: Sequence[str]) -> list[str]:
    return [shown(metrics and metrics.guesses.get(name), ".1f") for name in names]


def em_and_f1(metrics: Metrics | None) -> list[str]:
    return [shown(metrics.em), shown(metrics.f1)] if metrics else [UNKNOWN, UNKNOWN]


def versus(first: Report, report: Report) -> Paired | None:
    """Exact match by question against the first's; None for the first itself, and where the questions were others."""
    if report is first or not first.scores or first.scores.keys() != report.scores.keys():
        return None
    exact = [{question: s.exact_match for question, s in r.scores.items()} for r in (first, report)]
    return compare_paired(*exact)


def difference_dict(paired: Paired | None) -> dict[str, float] | None:
    if paired is None:
        return None
    low, high = paired.interval
    return {
        "points": 100 * paired.difference,
        "low": 100 * low,
        "high": 100 * high,
        "p_value": paired.p_value,
    }


def difference_cells(paired: Paired | None) -> list[str]:
    if paired is None:
        return [UNKNOWN, UNKNOWN]
    low, high = paired.interval
    return [f"{100 * paired.difference:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]", f"{paired.p_value:.3g}"]


def _other_cells(metrics: Metrics | None, names: Sequence[str]) -> list[str]:
    others = metrics.others if metrics else {}
    return [
        _other_cell(others[name].n, metrics, str(others[name].measure)) if name in others else UNKNOWN for name in names
    ]


def _other_cell(n: int, metrics: Metrics | None, measure: str) -> str:
    """With its own number of rows where that is not the line's."""
    return measure if metrics and n == metrics.n else f"{measure} of {n}"


def _trial_cells(name: str, found: Distribution | None) -> list[str]:
    if found is None:
        return [UNKNOWN] * 6 + ["0"]
    digits = ".6f" if name == "cost_usd" else ".2f"
    numbers = (found.mean, found.sd, found.low, found.median, found.high, found.total)
    return [*(shown(number, digits) for number in numbers), str(found.n)]
