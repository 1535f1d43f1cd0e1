"""What one question took, as OpenAI's usage objects and two fields more: `searches`, and `cost_usd` (null: unknown).

Tokens are summed over all turns: an agent reads its whole conversation again for each of its steps. Which of them were
cached is told where the provider tells it; the Responses protocol wants numbers all the same, and gets 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fireact_ray.core.types import Usage
from fireact_ray.serving.runs import Ended


def chat_usage(ended: Ended) -> dict[str, Any]:
    usage = ended.usage
    cached = {} if usage.cached_tokens is None else {"prompt_tokens_details": {"cached_tokens": usage.cached_tokens}}
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": _total(usage),
        **cached,
        **_ours(ended),
    }


def responses_usage(ended: Ended) -> dict[str, Any]:
    usage = ended.usage
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens or 0, "cache_write_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": _total(usage),
        **_ours(ended),
    }


def extension(ended: Ended, ignored: Mapping[str, str] | None = None, *, whole: bool = False) -> dict[str, Any]:
    """The `fireact` object of a reply. `ignored`: what was asked and not done; `whole`: with the full trajectory."""
    trajectory = ended.trajectory
    told: dict[str, Any] = {
        "trajectory_id": trajectory.trajectory_id,
        "stop_reason": str(trajectory.stop_reason),
        "limit": ended.limit,
        "n_steps": len(trajectory.steps),
        "n_searches": trajectory.n_searches,
        "seconds": round(trajectory.wall_time_s, 3),
        "ignored": dict(ignored or {}),
    }
    return {**told, "trajectory": trajectory.to_dict()} if whole else told


def _total(usage: Usage) -> int:
    return usage.prompt_tokens + usage.completion_tokens


def _ours(ended: Ended) -> dict[str, Any]:
    return {"searches": ended.trajectory.n_searches, "cost_usd": ended.cost_usd}
