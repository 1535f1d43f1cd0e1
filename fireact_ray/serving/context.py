"""Whether a model can read a question at all, told before anything is asked of it.

Where it cannot, the reply is a 400 that says so, also where it would have been streamed. Models of others are not asked
beforehand: what they refuse is told when they do.
"""

from __future__ import annotations

from fireact_ray.agent.agent import Agent
from fireact_ray.agent.models.local import LocalChat
from fireact_ray.core.types import Question
from fireact_ray.serving.errors import ApiError


class ContextCheck:
    """Counts the tokens of a prompt only where its question is long enough to matter: a token is a byte or more."""

    def __init__(self) -> None:
        self._around: dict[str, int] = {}  # tokens of an agent's prompt without a question, by model id

    def check(self, model_id: str, agent: Agent, question: Question, param: str) -> None:
        """Raises ApiError (400) for a question that does not fit with the first reply."""
        n_tokens, room = self._tokens(model_id, agent, question)
        if n_tokens > room:
            message = f"The question makes a prompt of {n_tokens} tokens; this model takes {room}. Shorten it."
            raise ApiError(400, message, param=param, code="context_length_exceeded")

    def takes(self, model_id: str, agent: Agent, question: Question) -> bool:
        n_tokens, room = self._tokens(model_id, agent, question)
        return n_tokens <= room

    def _tokens(self, model_id: str, agent: Agent, question: Question) -> tuple[int, int]:
        """Of the prompt, or more where that is enough to know; and what the model has room for."""
        model = agent.model
        if not isinstance(model, LocalChat):
            return 0, 0
        room = model.engine.max_context - agent.sampling.max_new_tokens
        if model_id not in self._around:
            self._around[model_id] = _n_tokens(model, agent, Question("served", "", "", ()))
        bound = self._around[model_id] + len(question.text.encode())
        return (bound if bound <= room else _n_tokens(model, agent, question)), room


def _n_tokens(model: LocalChat, agent: Agent, question: Question) -> int:
    return len(model.renderer.prompt(agent.method.turns(question, [])))
