"""The reply of a served agent -> a Completion that holds a whole rollout: its answer, how it went, how it ended.

What `fireact serve` adds to OpenAI's protocol (serving/chat_reply.py) is read as such: `reasoning_content` holds the
steps and `fireact` the stop reason, so that a rollout without an answer is no empty reply. What any other server says
is read as a model's reply is.
"""

from __future__ import annotations

from fireact_ray.agent.models.base import Completion
from fireact_ray.agent.models.openai_reply import read_completion
from fireact_ray.agent.models.openai_usage import read_usage
from fireact_ray.core.net.http import HttpReply, read_json
from fireact_ray.core.types import StopReason


def read_served(reply: HttpReply, model: str, host: str) -> Completion:
    """Raises the ModelError that a reply without a completion means."""
    match read_json(reply.body) if reply.status == 200 else None:
        case {
            "choices": [{"message": {"content": str(answer), "reasoning_content": str(steps)}}],
            "fireact": {"stop_reason": str(stop_reason)},
            **fields,
        } if stop_reason in set(StopReason):
            return Completion(answer, "stop", read_usage(fields.get("usage")), reasoning=steps, stop_reason=stop_reason)
    return read_completion(reply, model, host)
