"""What one server allows, in plain values; and what it tells whoever runs it, by callbacks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from fireact_ray.core.types import Step, Trajectory
from fireact_ray.serving.page.offer import Offer

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True)
class ServingSettings:
    """Limits of one question, of one key and of the wire. None: no limit of the server's; the agent's own still holds.

    `max_tokens`: that the model writes for one question, over all its turns. `max_seconds`: keep it below the time
    limit of whatever proxy stands in front, or that one cuts answers without a word. `max_question_chars`: of the
    question with its history. `max_temperature`: a client's higher wish is lowered to it. `history`: whether earlier
    turns and instructions are given to the agent; else the reply says that they were ignored. `faults`: whether clients
    may order faults in their searches. `requests_per_minute`, `concurrency`: of one key, in one process; without keys
    all callers are one. `max_in_flight`: questions of this process, all keys together. `body_timeout_s`: until a
    request's body is there. `send_timeout_s`: until a client has taken a part of its reply; one that does not read is
    cut off. `heartbeat_s`: a stream is never silent for longer. `allowed_hosts`: of the Host header,
    without port; "*" is any. `allowed_origins`: of pages elsewhere that may call; our own page always may.
    `only_this_machine`: callers on others are refused, whatever address Serve's proxies listen at.
    `mcp`: whether /mcp is served, which needs the extra `mcp`.
    `created`: by model id, seconds since the epoch. `retry_after_s`: what an overloaded server asks clients to wait.
    `page`: what the web page offers; a fault that shows what another question finds takes one of its examples.
    """

    max_steps: int | None = None
    max_tokens: int | None = None
    max_seconds: float = 100.0
    max_cost_usd: float | None = None
    max_question_chars: int = 8_000
    max_temperature: float = 1.0
    history: bool = True
    faults: bool = False
    requests_per_minute: float | None = None
    concurrency: int | None = None
    max_in_flight: int | None = None
    max_body_bytes: int = 1 << 20
    max_header_bytes: int = 16 << 10
    body_timeout_s: float = 10.0
    send_timeout_s: float = 30.0
    heartbeat_s: float = 15.0
    allowed_hosts: tuple[str, ...] = LOOPBACK
    allowed_origins: tuple[str, ...] = ()
    only_this_machine: bool = False
    mcp: bool = False
    created: Mapping[str, int] = field(default_factory=dict)
    retry_after_s: float = 5.0
    page: Offer = field(default_factory=Offer)


@dataclass(frozen=True, slots=True)
class Health:
    """What a server depends on, by name ("engine", "search"): None where it answers, else why not, in few words that
    anybody may read."""

    parts: Mapping[str, str | None]

    @property
    def ok(self) -> bool:
        return all(reason is None for reason in self.parts.values())


@dataclass(frozen=True, slots=True)
class Access:
    """One request as it went, for an access log. `key`: the name of the caller's key; "" where none was known.
    `trace_id`: also in the reply's header `x-request-id`. There is no content in it, neither asked nor answered.
    `path`: a route's own, such as /v1/models/{model}; "" where no route was found."""

    trace_id: str
    method: str
    path: str
    status: int
    seconds: float
    key: str
    model: str = ""
    trajectory_id: str = ""


@dataclass(frozen=True, slots=True)
class Asking:
    """One question on its way. `question_chars`: how long it is; the question itself is in the Trajectory.
    `traceparent`: as the caller sent it, by W3C Trace Context; "" where it did not."""

    trace_id: str
    key: str
    model: str
    route: str
    question_chars: int
    traceparent: str = ""


async def _always_ready() -> Health:
    return Health({})


def _ignore(*_: object) -> None:
    """The default of every hook."""


@dataclass(frozen=True)
class Hooks:
    """Called in the event loop, so they must be quick; what they raise is a fault of the request.

    `ready` is asked by /healthz: engine and search are really asked, and raised errors count as not ready.
    `on_step`, `on_end`: as a question goes on; `on_end` also where its caller went away, with None.
    """

    ready: Callable[[], Awaitable[Health]] = _always_ready
    on_access: Callable[[Access], None] = _ignore
    on_start: Callable[[Asking], None] = _ignore
    on_step: Callable[[Asking, Step], None] = _ignore
    on_end: Callable[[Asking, Trajectory | None], None] = _ignore
