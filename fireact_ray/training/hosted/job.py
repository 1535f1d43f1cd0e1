"""What is sent to a provider, and what it says of a job: types, and how they are read from its JSON.

The protocol is OpenAI's (POST /files, POST /fine_tuning/jobs ...). Servers that follow it leave fields out, add others
and have statuses of their own, so only what is needed is demanded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from fireact_ray.core.errors import MalformedReply
from fireact_ray.core.net.provider_errors import one_line

MARKER = "fireact_ray"  # of a job's metadata: by its value a job is found whose id was never heard

_GOING = {"validating_files", "queued", "pending", "created", "running", "paused", "pausing", "cancelling"}
_ENDED = {"succeeded", "failed", "cancelled"}
_UNREADY = {"pending", "notrunning", "not_running", "running", "processing"}
_BROKEN = {"error", "failed", "deleted"}


@dataclass(frozen=True, slots=True)
class TrainingFile:
    """JSON lines in OpenAI's chat format."""

    content: bytes = field(repr=False)
    n_examples: int

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def name(self) -> str:
        """Holds the content's hash, so that an uploaded file is found again."""
        return f"fireact-{self.sha256[:16]}.jsonl"


@dataclass(frozen=True, slots=True)
class JobSettings:
    """What shapes a job beside its file. "auto": the provider chooses. `seed` None: it is not sent."""

    model: str
    n_epochs: int | Literal["auto"] = 3
    batch_size: int | Literal["auto"] = "auto"
    learning_rate_multiplier: float | Literal["auto"] = "auto"
    suffix: str | None = None
    seed: int | None = None

    def request(self, file_id: str, marker: str) -> dict[str, Any]:
        """The body of POST /fine_tuning/jobs."""
        hyperparameters = {
            "n_epochs": self.n_epochs,
            "batch_size": self.batch_size,
            "learning_rate_multiplier": self.learning_rate_multiplier,
        }
        body = {
            "model": self.model,
            "training_file": file_id,
            "method": {"type": "supervised", "supervised": {"hyperparameters": hyperparameters}},
            "suffix": self.suffix,
            "seed": self.seed,
            "metadata": {MARKER: marker},
        }
        return {name: value for name, value in body.items() if value is not None}


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """`status` is "" where the server gives none."""

    id: str
    name: str
    n_bytes: int | None
    status: str = ""
    details: str = ""

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> RemoteFile:
        """Raises MalformedReply where it has no id."""
        n_bytes = row.get("bytes")
        return cls(
            _id_of(row, "file"),
            _text(row.get("filename")),
            n_bytes if type(n_bytes) is int else None,
            _text(row.get("status")).lower(),
            one_line(_text(row.get("status_details"))),
        )

    @property
    def is_unready(self) -> bool:
        return self.status in _UNREADY

    @property
    def is_broken(self) -> bool:
        return self.status in _BROKEN


@dataclass(frozen=True, slots=True)
class Job:
    """`marker`: None where the server does not give metadata back. `error`: in the provider's words, on one line."""

    id: str
    status: str
    model: str | None = None
    error: str = ""
    trained_tokens: int | None = None
    training_file: str = ""
    marker: str | None = None
    finished_at: int | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Job:
        """Raises MalformedReply where it has no id or no status."""
        if not _text(row.get("status")):
            raise MalformedReply("the reply holds a job without a status", cause="no status")
        metadata, tokens, finished = row.get("metadata"), row.get("trained_tokens"), row.get("finished_at")
        return cls(
            _id_of(row, "job"),
            _text(row["status"]).lower(),
            _text(row.get("fine_tuned_model")) or None,
            _error_words(row.get("error")),
            tokens if type(tokens) is int else None,
            _text(row.get("training_file")),
            (_text(metadata.get(MARKER)) or None) if isinstance(metadata, dict) else None,
            finished if type(finished) is int else None,
        )

    @property
    def is_known(self) -> bool:
        return self.status in _GOING | _ENDED

    @property
    def has_ended(self) -> bool:
        """Also by a status that is not known, where the server says when."""
        return self.status in _ENDED or (not self.is_known and self.finished_at is not None)


@dataclass(frozen=True, slots=True)
class JobEvent:
    """`step`, `of`, `loss`: None but in an event of metrics. `at`: seconds since 1970, by the server's clock."""

    id: str
    at: int
    level: str
    message: str
    step: int | None = None
    of: int | None = None
    loss: float | None = None

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> JobEvent:
        """Raises MalformedReply where it has no id."""
        data = found if isinstance(found := row.get("data"), dict) else {}
        at, loss = row.get("created_at"), data.get("train_loss")
        return cls(
            _id_of(row, "event"),
            at if type(at) is int else 0,
            _text(row.get("level")) or "info",
            one_line(_text(row.get("message"))),
            _count(data.get("step")),
            _count(data.get("total_steps")),
            float(loss) if isinstance(loss, int | float) else None,
        )


def _id_of(row: Mapping[str, Any], what: str) -> str:
    if not (found := _text(row.get("id"))):
        raise MalformedReply(f"the reply holds a {what} without an id", cause=f"{what} without an id")
    return found


def _error_words(error: Any) -> str:
    """Such as `invalid_training_file (training_file): Line 3 ...`; "" where there is none."""
    if isinstance(error, str):
        return one_line(error)
    if not isinstance(error, dict):
        return ""
    code, param, message = (_text(error.get(name)) for name in ("code", "param", "message"))
    head = f"{code} ({param})" if code and param else code
    return one_line(": ".join(part for part in (head, message) if part))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None
