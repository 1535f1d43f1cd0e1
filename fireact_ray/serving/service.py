"""What every protocol does with a question: find the agent, take the conversation in, let it run, tell how it ended."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol

from fireact_ray.agent.agent import Agent
from fireact_ray.core.types import Question, Step, Trajectory
from fireact_ray.serving import runs
from fireact_ray.serving.admission import Admission
from fireact_ray.serving.context import ContextCheck
from fireact_ray.serving.conversation import Asked, Said, asked
from fireact_ray.serving.errors import ApiError, unknown_model
from fireact_ray.serving.guard import Call
from fireact_ray.serving.outcome import failure, fault
from fireact_ray.serving.runs import Ended, Event
from fireact_ray.serving.settings import Asking, Hooks, ServingSettings
from fireact_ray.serving.usage import extension
from fireact_ray.serving.wishes import Granted, Wishes, granted


class Asks(Protocol):
    """A request of any protocol."""

    @property
    def model(self) -> str: ...

    def said(self) -> list[Said]: ...

    def wishes(self) -> Wishes: ...

    def ignored(self) -> dict[str, str]: ...


@dataclass(frozen=True)
class Ask:
    """One question that may be asked now. `ignored`: what of the request is not done, and why."""

    asking: Asking
    call: Call
    question: Question
    granted: Granted
    ignored: Mapping[str, str]
    param: str
    shows_trajectory: bool

    def extension(self, ended: Ended) -> dict[str, Any]:
        return extension(ended, self.ignored, whole=self.shows_trajectory)


@dataclass(frozen=True, slots=True)
class Failed:
    """A run that came to no result. `ended`: how far it came, where that is known."""

    error: ApiError
    ended: Ended | None


class Service:
    def __init__(self, agents: Mapping[str, Agent], settings: ServingSettings, hooks: Hooks) -> None:
        self.agents, self.settings, self.hooks = agents, settings, hooks
        self.admission = Admission(settings)
        self._context = ContextCheck()

    def agent(self, model: str) -> Agent:
        """Raises ApiError (404)."""
        agent = self.agents.get(model)
        if agent is None:
            raise unknown_model(model, sorted(self.agents))
        return agent

    def ask(self, request: Asks, call: Call, route: str, param: str) -> Ask:
        """`param`: the field that holds the conversation. Raises ApiError for all that can be said beforehand."""
        agent = self.agent(request.model)
        call.model = request.model
        self.admission.count(call.key)
        ignored, wishes = request.ignored(), request.wishes()
        allowed = granted(agent, wishes, self.settings)
        question = self._fitting(request, allowed.agent, param)
        ignored |= allowed.ignored
        if question.left_out:
            ignored[param] = question.left_out
        n_chars = len(question.question.text)
        asking = Asking(call.trace_id, call.key, request.model, route, n_chars, call.traceparent)
        return Ask(asking, call, question.question, allowed, ignored, param, wishes.trajectory)

    def _fitting(self, request: Asks, agent: Agent, param: str) -> Asked:
        """The question, with as much of what was said before as the model can read. Raises ApiError."""
        said = request.said()
        found = asked(said, self.settings, param)
        while found.n_earlier and not self._context.takes(request.model, agent, found.question):
            found = asked(said, self.settings, param, found.n_earlier // 2)
        self._context.check(request.model, agent, found.question, param)
        return found

    async def events(self, ask: Ask) -> AsyncGenerator[Event | Failed, None]:
        """Silence at once; Replied, Step and Silence as they come; then Ended or Failed.

        Raises ApiError before the first of them only: too many questions run already.
        """
        with self.admission.running(ask.asking.key):
            self.hooks.on_start(ask.asking)
            ended: Trajectory | None = None
            try:
                yield runs.Silence()  # it has begun: from here on it is ended as it should be, also if nobody reads on
                async with aclosing(self._run(ask)) as happened:
                    async for event in happened:
                        if isinstance(event, Step):
                            self.hooks.on_step(ask.asking, event)
                        if isinstance(event, Ended):
                            ended = event.trajectory
                            ask.call.trajectory_id = ended.trajectory_id
                        yield self._judged(event, ask)
            except Exception as error:  # noqa: BLE001 (told as an event, so that no stream ends without a word)
                yield Failed(failure(error, ask.asking.trace_id), None)
            finally:
                self.hooks.on_end(ask.asking, ended)

    def _run(self, ask: Ask) -> AsyncGenerator[Event, None]:
        return runs.events(ask.granted.agent, ask.question, ask.granted.allowance, self.settings.heartbeat_s)

    def _judged(self, event: Event, ask: Ask) -> Event | Failed:
        if isinstance(event, Ended) and (error := fault(event, ask.param, self.settings.retry_after_s)) is not None:
            return Failed(error, event)
        return event

    async def whole(self, ask: Ask) -> Ended:
        """The run to its end. Raises ApiError."""
        async with aclosing(self.events(ask)) as happened:
            async for event in happened:
                match event:
                    case Failed(error):
                        raise error
                    case Ended():
                        return event
        raise AssertionError("a run ends with Ended or Failed")
