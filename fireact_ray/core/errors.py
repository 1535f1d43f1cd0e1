"""One tree of errors. Each class says when it is raised; each message says what was asked, found, and to do next.

    FireActError
    ├── InputError           the user's recipe, file or flag is wrong            exit 2
    │   └── RecipeError      a recipe has problems (all of them, one per line)
    ├── ModelError           a chat model gave no usable reply                   (a row, not a crash)
    │   ├── ModelUnavailable   5xx, reset, time-out: worth another try
    │   │   └── MalformedReply   a reply without a usable completion
    │   │       └── UnreadReply    a whole reply of a shape that is not read: it would come again
    │   ├── RateLimited        429: wait, it is no failed attempt
    │   ├── ModelRefused       400, 404, content filter: another try would not help
    │   │   ├── TokenLimit       the prompt does not fit, or the reply was cut before its action
    │   │   ├── PromptFlagged    moderation refused this one prompt; other questions are not touched
    │   │   └── ReplyWithheld    a content filter or a refusal, told with an OK: there may be a bill
    │   └── ModelDenied        key, billing or quota: the whole run must pause   exit 1
    │       ├── ModelUnknown     there is no such model                           exit 2
    │       └── QuotaDenied      a rate limit that outlasts a run's patience      exit 1
    ├── SameFailure          one failure hits row after row: the run stops       exit 1
    ├── ToolError            a tool could not serve a call
    │   └── ToolDenied         its key or plan was refused: the whole run must pause       exit 1
    ├── DataError            a mask, row, checkpoint or manifest is not what it must be   exit 1
    │   └── WriteFailed        a full disk, a read-only or vanished folder
    ├── BudgetExhausted      the recipe's budget is spent: raise it and rerun    exit 3
    ├── CellsFailed          an experiment ended, some of its cells failed       exit 1
    └── TrainingError        training cannot start or go on                      exit 1

Errors cross process borders, so every class can be built from its message alone and stays picklable.

A ModelError has a `signature`: what two failures have in common when they have the same cause, such as
"ModelRefused 400 unsupported_value temperature". The message holds the provider's own words, which differ from call to
call (request ids, counts of tokens); failures are compared by their signature.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Self


class FireActError(Exception):
    """Base of all errors that this package raises on purpose."""

    exit_code = 1


class InputError(FireActError):
    """What the user asked for cannot be done as asked; nothing was written."""

    exit_code = 2


class RecipeError(InputError):
    """A recipe is wrong. The message holds every problem, one line each."""


class ModelError(FireActError):
    """A chat model gave no usable reply. A rollout turns this into a Trajectory with a StopReason.

    `cause`: what the signature holds after the class, made of few words: a status, a code, a parameter. It survives
    pickling and `reworded`; an error that is built from its message alone has none.
    """

    def __init__(self, message: str, *, cause: str = "") -> None:
        super().__init__(message)
        self.cause = cause

    @property
    def signature(self) -> str:
        return f"{type(self).__name__} {self.cause}".rstrip()

    def reworded(self, message: str) -> Self:
        """The same failure with another message."""
        copied = type(self)(message)
        copied.__dict__.update(self.__dict__)
        return copied


class ModelUnavailable(ModelError):
    """Overload, 5xx, reset or time-out; it may be otherwise the next time."""


class MalformedReply(ModelUnavailable):
    """The server said OK, but its reply holds no usable completion."""


class UnreadReply(MalformedReply):
    """The server said OK, and its reply is whole, but of a shape that is not read: the next one most likely is too."""


class RateLimited(ModelError):
    """A 429. `retry_after_s`: how long the provider asks to wait; None where it does not say."""

    def __init__(self, message: str, retry_after_s: float | None = None, *, cause: str = "") -> None:
        super().__init__(message, cause=cause)
        self.retry_after_s = retry_after_s


class ModelRefused(ModelError):
    """The request itself was refused; the same request would be refused again."""


class TokenLimit(ModelRefused):
    """The prompt does not fit into the model's context, or a reply was cut by its limit before it held an action."""


class PromptFlagged(ModelRefused):
    """The provider's moderation refused this prompt before it made a reply: nothing is billed."""


class ReplyWithheld(ModelRefused):
    """The server said OK, but a content filter or the model itself kept the reply back; it may be billed."""


class ModelDenied(ModelError):
    """Key, billing or quota: every further call would fail too, so the run stops and says what to do."""


class ModelUnknown(ModelDenied):
    """The provider has no model of that name (or nothing at that address)."""

    exit_code = 2


class QuotaDenied(ModelDenied):
    """Our quota lets no more calls through: the provider asks for a longer wait than a run has. Nothing is wrong with
    key or plan, and the message says when to come back."""


class BudgetExhausted(FireActError):
    """The next call would not fit into what the recipe allows to be spent. All that is paid for is kept."""

    exit_code = 3


class SameFailure(FireActError):
    """Row after row ended by the same failure outside the agent, or the teacher answers nothing at all."""


class ToolError(FireActError):
    """A tool could not serve a call. A rollout turns this into an observation from the catalogue, never its text."""


class ToolDenied(ToolError):
    """Key, billing or plan of a search provider: every further search would fail too, so the run stops and says so."""


class DataError(FireActError):
    """A mask, row, file or manifest is not what it must be. What concerns data stops the run."""


class WriteFailed(DataError):
    """A file of the run could not be written, as by a full disk. What was paid for until then is kept."""

    @classmethod
    def of(cls, path: str, error: OSError) -> WriteFailed:
        reason = os.strerror(error.errno) if error.errno else str(error)
        return cls(f"{path}: cannot be written ({reason}). Make room there, and run the same command again to go on.")


class CellsFailed(FireActError):
    """An experiment has ended, and some of its cells have no result. The others have theirs."""

    @classmethod
    def of(cls, reasons: Mapping[str, str]) -> CellsFailed:
        lines = [f"{cell}: {reason}" for cell, reason in reasons.items()]
        move = "Put right what failed, and run the same command again: what is done is not done again."
        return cls("\n".join([f"{len(lines)} cells failed.", *lines, move]))


class TrainingError(FireActError):
    """Training cannot start or go on (bad model folder, mismatching checkpoint, no trained token)."""


class TrainingStopped(FireActError):
    """It was asked to stop between two steps, and did, behind a checkpoint: nothing is lost. 130 as after Ctrl-C."""

    exit_code = 130
