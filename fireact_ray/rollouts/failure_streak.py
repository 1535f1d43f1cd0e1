"""When the same failure hits row after row: that is no result of the rows, and the run stops.

from the start      5 rows end, all by the same failure, and none in another way
later on            50 in a row
at the end          all rows of a run that has no other, however few
"""

from __future__ import annotations

import re

from fireact_ray.core.errors import SameFailure
from fireact_ray.core.types import Outcome, Trajectory

FROM_THE_START, LATER_ON = 5, 50

_ATTEMPTS = re.compile(r" \(after \d+ attempts\)$")
_OF_THE_QUESTION = ("ReplyWithheld", "PromptFlagged")


def failure_of(trajectory: Trajectory) -> str:
    """Class and words of the failure that ended a row; empty where the row is a result, or its question's own fault."""
    if trajectory.stop_reason.outcome is not Outcome.FAILED:
        return ""
    failure = trajectory.error or str(trajectory.stop_reason)
    return "" if failure.startswith(_OF_THE_QUESTION) else failure


def kind_of(failure: str) -> str:
    """What two failures of the same cause share: the class, the model, status and code; not the words that follow,
    which may hold a request's id."""
    return _ATTEMPTS.sub("", ": ".join(failure.split(": ")[:3]))


class Streak:
    """`is_first`: the run holds no row yet that ended otherwise."""

    def __init__(self, *, is_first: bool) -> None:
        self._none_else = is_first
        self._kind = ""
        self._last = ""
        self._length = 0

    def add(self, failure: str) -> None:
        """A row has ended, by this failure or ("") in another way."""
        if not failure:
            self._none_else, self._kind, self._length = False, "", 0
            return
        kind = kind_of(failure)
        self._length = self._length + 1 if kind == self._kind else 1
        self._kind, self._last = kind, failure

    def stops(self, *, at_end: bool = False) -> SameFailure | None:
        """Why the run stops, if it does. `at_end`: no further row will end."""
        enough = LATER_ON
        if self._none_else:
            enough = 1 if at_end else FROM_THE_START
        if self._length < enough:
            return None
        return SameFailure(
            f"{self._length} rows in a row failed in the same way: {self._last}. That is no result of theirs: they are "
            "pending. Put right what it names, and run the same command again."
        )
