"""Episodes in, a report over scores computed anew out, and what of a file is in no score or in another than it said.

An answer is compared with the accepted answers of the questions that were given, or else with the row's own. Where a
row has none but says how it was judged, that stands; where it says nothing either, it is not scored. A row without an
answer is wrong.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fireact_ray.core.errors import DataError, InputError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.types import Score
from fireact_ray.evaluation.episodes import Episode
from fireact_ray.evaluation.judged import Judged
from fireact_ray.evaluation.recorded.questions import Questions
from fireact_ray.evaluation.recorded.reading import Reader
from fireact_ray.evaluation.report import Report
from fireact_ray.evaluation.tally import Tally, metrics_of
from fireact_ray.rollouts.audit import audit

_SAME = 1e-9  # what two ways to compute an F1 may differ by


@dataclass(slots=True)
class Verdicts:
    """How rows were scored: `anew`, from accepted answers; `as_recorded`, by the verdict that the row holds, of which
    `without_f1` hold no F1 of their own; `unmatched` ask none of the questions that were given. Of those scored anew,
    `compared` hold a score of their own; `differing`: whose metric was another, by metric."""

    anew: int = 0
    compared: int = 0
    as_recorded: int = 0
    without_f1: int = 0
    unmatched: int = 0
    differing: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Rescored:
    """`unread`: rows that are no episode, by reason, which are in no number of the report; `answer_only`: rows of which
    a step cannot be read, by reason; `unknown_ends`: rows without an answer that end with a call of an unknown tool, by
    tool. Of a run, `pending`: rows that its plan has and that are not written yet,
    `unplanned`: rows of an earlier plan, or imported ones."""

    path: str
    report: Report
    verdicts: Verdicts
    unread: Mapping[str, int]
    answer_only: Mapping[str, int]
    unknown_ends: Mapping[str, int]
    repeated: int
    pending: int = 0
    unplanned: int = 0

    def with_judge(self, judged: Judged | None) -> Rescored:
        return replace(self, report=replace(self.report, judged=judged))

    @property
    def said(self) -> list[str]:
        """What a reader of the table has to know, as sentences."""
        verdicts, said = self.verdicts, []
        if self.pending:
            said.append(
                f"{self.pending} more rows are planned and not written yet: these numbers are of a part of the run"
            )
        if self.unplanned:
            said.append(f"{self.unplanned} rows are not in the run's plan (of an earlier one, or imported), and count")
        if verdicts.as_recorded:
            said.append(f"{verdicts.as_recorded} rows name no accepted answer and count as recorded")
        if verdicts.without_f1:
            said.append(f"of {verdicts.without_f1} rows the F1 is their verdict once more: they record none")
        if verdicts.unmatched:
            said.append(f"{verdicts.unmatched} rows ask none of the questions of --against and are not scored")
        for metric, n in sorted(verdicts.differing.items()):
            said.append(f"{n} of {verdicts.compared} rows scored anew were recorded with another {metric}")
        if verdicts.compared and not verdicts.differing:
            said.append(f"{verdicts.compared} rows scored anew, each as it was recorded")
        if uncompared := verdicts.anew - verdicts.compared:
            said.append(f"{uncompared} rows scored for the first time: they hold no score of their own")
        for reason, n in sorted(self.answer_only.items()):
            said.append(f"{n} rows count by their answer, and not every step of them is read: {reason}")
        for tool, n in sorted(self.unknown_ends.items()):
            said.append(
                f"{n} rows end with a call of `{tool}`, which is no known way to answer, and count as unfinished: "
                "where it is one, import them by a recipe with search.aliases, and score that run"
            )
        said += [f"{n} rows not read, and in no number: {reason}" for reason, n in sorted(self.unread.items())]
        if self.repeated:
            said.append(f"{self.repeated} rows repeat the key of another row and count once")
        return said

    def to_dict(self) -> dict[str, Any]:
        verdicts = self.verdicts
        return {
            "path": self.path,
            **self.report.to_dict(),
            "rows": {
                "scored_anew": verdicts.anew,
                "as_recorded": verdicts.as_recorded,
                "without_f1": verdicts.without_f1,
                "not_among_the_questions": verdicts.unmatched,
                "recorded_otherwise": dict(sorted(verdicts.differing.items())),
                "unread": dict(sorted(self.unread.items())),
                "answer_only": dict(sorted(self.answer_only.items())),
                "unknown_ends": dict(sorted(self.unknown_ends.items())),
                "repeated": self.repeated,
                "pending": self.pending,
                "unplanned": self.unplanned,
            },
            "judge": self.report.judged.to_dict() if self.report.judged else None,
        }


def rescore(
    name: str, reader: Reader, questions: Questions | None, n_planned: int | None = None, paired: bool = False
) -> Rescored:
    """`questions`: what answers are compared with; None takes the rows' own. `n_planned`: rows there should be; those
    that are missing are wrong. `paired`: keep a score per question, for comparisons.

    Raises InputError where no row is an episode or fewer are planned than are there.
    """
    tally = Tally(defaultdict(list) if paired else None)
    verdicts = Verdicts()
    for found in reader.episodes():
        episode = found if questions is None else _asked(found, questions)
        if episode is None:
            verdicts.unmatched += 1
            tally.add(found, None, None)
        elif not episode.question.answers and episode.score is None and episode.answer is None:
            tally.add_unanswered(episode)
        else:
            _score(episode, tally, verdicts)
    if verdicts.as_recorded:  # of a file that judges its rows, an unfinished one is wrong
        tally.count_unanswered_wrong()
    _add_missing(name, tally, reader, n_planned)
    counts = (
        reader.unread,
        +reader.answer_only,
        reader.unknown_ends,
        reader.repeated,
        *_off_plan(reader.recording.planned_in),
    )
    return Rescored(reader.recording.path, Report.of(name, tally), verdicts, *counts)


def answered(reader: Reader, questions: Questions | None) -> Iterator[Episode]:
    """The rows of which an accepted answer is known, read anew."""
    for found in Reader(reader.recording, reader.names).episodes():
        episode = found if questions is None else _asked(found, questions)
        if episode is not None and episode.question.answers:
            yield episode


def _score(episode: Episode, tally: Tally, verdicts: Verdicts) -> None:
    metrics = metrics_of(episode)
    if metrics is None:
        verdicts.as_recorded += episode.score is not None
        verdicts.without_f1 += episode.score is not None and not episode.f1_recorded
        tally.add(episode, episode.score, None)
        return
    verdicts.anew += 1
    if episode.score is not None:
        verdicts.compared += 1
        verdicts.differing.update(_differing(episode, episode.score, metrics.score))
    tally.add(episode, metrics.score, metrics)


def _asked(episode: Episode, questions: Questions) -> Episode | None:
    """With the question as its task holds it; None where it is none of these."""
    question = questions.find(episode.question.text)
    return None if question is None else episode._replace(question=question)


def _differing(episode: Episode, recorded: Score, anew: Score) -> list[str]:
    found = []
    if recorded.exact_match != anew.exact_match:
        found.append("exact match")
    if episode.f1_recorded and not math.isclose(recorded.f1, anew.f1, abs_tol=_SAME):
        found.append("F1")
    return found


def _off_plan(run: Folder | None) -> tuple[int, int]:
    """Rows that are planned and not written, and the other way round."""
    found = audit(run) if run is not None else None
    return (found.pending, found.unplanned) if found else (0, 0)


def _add_missing(name: str, tally: Tally, reader: Reader, n_planned: int | None) -> None:
    if not tally.n:
        reasons = ", ".join(f"{reason} {n}" for reason, n in sorted(reader.unread.items())) or "it holds none"
        raise DataError(f"{name}: no row is a trajectory ({reasons}). `fireact lint` says why of each row.")
    if n_planned is None:
        return
    if n_planned < tally.n:
        raise InputError(f"--planned {n_planned}: {name} holds {tally.n} rows. Give at least as many, or leave it out.")
    tally.add_missing(n_planned - tally.n)
