"""What the agents of a replica count, by Ray's own metrics: they stand at every node's metrics port, beside Serve's.

`fireact_questions_total{agent, stop_reason}`, `fireact_question_seconds{agent}` and `fireact_questions_running{agent}`;
`fireact_steps_total{agent}`, `fireact_searches_total{agent, status}`, `fireact_tokens_total{agent, kind}` with kind
prompt or completion, `fireact_step_seconds{agent, part}` with part model or tool; `fireact_requests_total{route,
status}`, with route (proxy) for what the proxies refuse themselves. Nothing of what is asked or answered.

They are told to Ray a little later, so that no reply waits for that.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter as Counted
from collections.abc import Callable
from typing import Any

from ray.util.metrics import Counter, Gauge, Histogram

from fireact_ray.core.types import Step, Trajectory
from fireact_ray.serving.settings import Access, Asking

_LATER_S = 0.01  # a reply leaves once the loop comes round a few times
_SECONDS = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0]


def requests_counter() -> Counter:
    return Counter("fireact_requests_total", "HTTP requests.", ("route", "status"))


class ServeMetrics:
    """Its methods are hooks of the HTTP layer. `later`: calls what it is given, in that order."""

    def __init__(self, later: Callable[..., None]) -> None:
        self._later = later
        self._requests = requests_counter()
        self._questions = Counter("fireact_questions_total", "Questions that ended.", ("agent", "stop_reason"))
        self._running = Gauge("fireact_questions_running", "Questions that run or wait.", ("agent",))
        self._seconds = Histogram("fireact_question_seconds", "Of a question.", _SECONDS, ("agent",))
        self._steps = Counter("fireact_steps_total", "Replies of the model that were used.", ("agent",))
        self._searches = Counter("fireact_searches_total", "Observations shown.", ("agent", "status"))
        self._tokens = Counter("fireact_tokens_total", "Tokens of the model.", ("agent", "kind"))
        self._step_seconds = Histogram("fireact_step_seconds", "Of a part of a step.", _SECONDS, ("agent", "part"))
        self._at_work: Counted[str] = Counted()
        self._began: dict[int, float] = {}

    @property
    def at_work(self) -> int:
        """Questions of all agents."""
        return self._at_work.total()

    def access(self, access: Access) -> None:
        self._later(self._requests.inc, 1, {"route": access.path, "status": str(access.status)})

    def start(self, asking: Asking) -> None:
        self._began[id(asking)] = time.monotonic()
        self._run(asking.model, 1)

    def step(self, asking: Asking, step: Step) -> None:
        self._later(self._step, asking.model, step)

    def end(self, asking: Asking, trajectory: Trajectory | None) -> None:
        """`trajectory` None: nobody waits for it any more."""
        self._run(asking.model, -1)
        reason = "cancelled" if trajectory is None else str(trajectory.stop_reason)
        seconds = time.monotonic() - self._began.pop(id(asking))
        self._later(self._questions.inc, 1, {"agent": asking.model, "stop_reason": reason})
        self._later(self._seconds.observe, seconds, {"agent": asking.model})

    def _run(self, agent: str, more: int) -> None:
        self._at_work[agent] += more
        self._later(self._running.set, self._at_work[agent], {"agent": agent})

    def _step(self, agent: str, step: Step) -> None:
        self._steps.inc(1, {"agent": agent})
        self._step_seconds.observe(step.model_latency_s, {"agent": agent, "part": "model"})
        for kind, n in (("prompt", step.usage.prompt_tokens), ("completion", step.usage.completion_tokens)):
            if n:
                self._tokens.inc(n, {"agent": agent, "kind": kind})
        if step.action is not None and step.observation is not None:
            self._searches.inc(1, {"agent": agent, "status": str(step.observation.status)})
            self._step_seconds.observe(step.tool_latency_s, {"agent": agent, "part": "tool"})


class Later:
    """Makes calls in the event loop, in the order in which they were given, 10 ms after the first of them."""

    def __init__(self) -> None:
        self._calls: list[tuple[Callable[..., object], tuple[Any, ...]]] = []

    def __call__(self, what: Callable[..., object], *given: Any) -> None:
        if not self._calls:
            asyncio.get_running_loop().call_later(_LATER_S, self.settle)
        self._calls.append((what, given))

    def settle(self) -> None:
        """Make the calls that wait now."""
        calls, self._calls = self._calls, []
        for what, given in calls:
            what(*given)
