"""What a served agent counts, by Ray's own metrics: they stand at every node's metrics port, beside Serve's.

`fireact_questions_total{agent, stop_reason}` and `fireact_question_seconds{agent}`; `fireact_questions_running{agent}`;
`fireact_steps_total{agent}`; `fireact_searches_total{agent, status}`; `fireact_tokens_total{agent, kind}`, kind prompt
or completion; `fireact_step_seconds{agent, part}`, part model or tool. No text of a question or an answer.
"""

from __future__ import annotations

from ray.util.metrics import Counter, Gauge, Histogram

from fireact_ray.core.types import Step, Trajectory

_SECONDS = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0]


class ServeMetrics:
    """Of one replica, for all its agents."""

    def __init__(self) -> None:
        self._questions = Counter("fireact_questions_total", "Questions that ended.", ("agent", "stop_reason"))
        self._running = Gauge("fireact_questions_running", "Questions at work.", ("agent",))
        self._seconds = Histogram("fireact_question_seconds", "Of a question.", _SECONDS, ("agent",))
        self._steps = Counter("fireact_steps_total", "Replies of the model that were used.", ("agent",))
        self._searches = Counter("fireact_searches_total", "Observations shown.", ("agent", "status"))
        self._tokens = Counter("fireact_tokens_total", "Tokens of the model.", ("agent", "kind"))
        self._step_seconds = Histogram("fireact_step_seconds", "Of a step's part.", _SECONDS, ("agent", "part"))
        self._at_work: dict[str, int] = {}

    @property
    def at_work(self) -> int:
        """Questions of all agents."""
        return sum(self._at_work.values())

    def began(self, agent: str) -> None:
        self._run(agent, 1)

    def step(self, agent: str, step: Step) -> None:
        self._steps.inc(1, {"agent": agent})
        self._step_seconds.observe(step.model_latency_s, {"agent": agent, "part": "model"})
        for kind, n in (("prompt", step.usage.prompt_tokens), ("completion", step.usage.completion_tokens)):
            if n:
                self._tokens.inc(n, {"agent": agent, "kind": kind})
        if step.action is not None and step.observation is not None:
            self._searches.inc(1, {"agent": agent, "status": str(step.observation.status)})
            self._step_seconds.observe(step.tool_latency_s, {"agent": agent, "part": "tool"})

    def ended(self, agent: str, trajectory: Trajectory | None, seconds: float) -> None:
        """`trajectory` None: nobody waits for it any more."""
        self._run(agent, -1)
        reason = "cancelled" if trajectory is None else str(trajectory.stop_reason)
        self._questions.inc(1, {"agent": agent, "stop_reason": reason})
        self._seconds.observe(seconds, {"agent": agent})

    def _run(self, agent: str, more: int) -> None:
        self._at_work[agent] = self._at_work.get(agent, 0) + more
        self._running.set(self._at_work[agent], {"agent": agent})
