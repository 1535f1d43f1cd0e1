"""How a run ended -> an answer, an answer that was cut by a limit, or a fault of ours with its status.

A limit (steps, tokens, seconds, cost, replies without an action) is a result: 200, "length" or "incomplete", with all
that was done until then. A model or a search that failed is none: 502 or 503.
"""

from __future__ import annotations

import logging

from fireact_ray.core.errors import BudgetExhausted, FireActError, ModelDenied, ToolDenied
from fireact_ray.core.types import StopReason, error_class
from fireact_ray.serving.errors import ApiError, internal
from fireact_ray.serving.runs import Ended
from fireact_ray.serving.usage import extension

_BETTER_SOON = {"ModelUnavailable", "RateLimited", "MalformedReply", "UnreadReply"}

logger = logging.getLogger(__name__)


def fault(ended: Ended, param: str, retry_after_s: float) -> ApiError | None:
    """None where there is a result. `param`: where the question stood in the request."""
    reason, told = ended.trajectory.stop_reason, extension(ended)
    if ended.too_long:
        message = "The question, with what is around it, is longer than this model's context. Shorten it."
        return ApiError(400, message, param=param, code="context_length_exceeded", fireact=told)
    if reason is StopReason.TOOL_ERROR:
        message = "The search failed too often to answer this question. Ask again a little later."
        return ApiError(503, message, code="search_unavailable", retry_after_s=retry_after_s, fireact=told)
    if reason is not StopReason.MODEL_ERROR:
        return None
    if error_class(ended.trajectory.error) in _BETTER_SOON:
        message = "The model is not available right now. Ask again a little later."
        return ApiError(503, message, code="model_unavailable", retry_after_s=retry_after_s, fireact=told)
    return ApiError(502, "The model gave no usable reply to this question.", code="model_failed", fireact=told)


def failure(error: Exception, trace_id: str) -> ApiError:
    """What a caller is told of an exception. It is logged here, and its own words stay there."""
    match error:
        case ApiError():
            return error
        case ModelDenied() | ToolDenied():
            logger.error("%s: %s", trace_id, error)
            message = "A provider that this server depends on refuses its key or plan. Who runs the server is told."
            return ApiError(503, message, code="provider_denied")
        case BudgetExhausted():
            logger.error("%s: %s", trace_id, error)
            return ApiError(503, "What this server may spend is spent.", code="budget_exhausted")
        case FireActError():
            logger.error("%s: %s", trace_id, error)
            return internal(trace_id)
        case _:
            logger.error("%s: %s", trace_id, type(error).__name__, exc_info=error)
            return internal(trace_id)
