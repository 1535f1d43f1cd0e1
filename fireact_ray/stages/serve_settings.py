"""From the recipe's `serve` section to what the HTTP layer allows, and whom it knows."""

from __future__ import annotations

from collections.abc import Mapping

from fireact_ray.core.secrets import read_api_key
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.serving import LOOPBACK_HOSTS, ServeConfig
from fireact_ray.serving.edge_reply import RETRY_AFTER_S
from fireact_ray.serving.keys import Keys
from fireact_ray.serving.page.opening import offer_of
from fireact_ray.serving.settings import LOOPBACK, ServingSettings


def keys_of(config: ServeConfig) -> Keys | None:
    """None where nobody is asked for one. Raises InputError for a missing variable and a file that holds no keys."""
    if config.keys_file is not None:
        return Keys.read(config.keys_file)
    if config.api_key_env is not None:
        return Keys.of({config.api_key_env: read_api_key(config.api_key_env, None, "Serving")})
    return None


def settings_of(recipe: Recipe, created: Mapping[str, int]) -> ServingSettings:
    """`created`: by model id, seconds since the epoch."""
    config = recipe.serve
    question, key = config.per_question, config.per_key
    hosts = LOOPBACK if config.host in LOOPBACK_HOSTS else ("*",)
    return ServingSettings(
        max_steps=question.max_steps,
        max_tokens=question.max_tokens,
        max_seconds=config.request_timeout_s,
        max_cost_usd=question.max_cost_usd,
        max_question_chars=question.max_chars,
        faults=config.faults,
        history=config.history,
        mcp=config.mcp,
        requests_per_minute=key.requests_per_minute,
        concurrency=key.concurrency,
        max_in_flight=config.max_ongoing_requests + config.max_queued,
        allowed_hosts=config.allowed_hosts or hosts,
        allowed_origins=config.allowed_origins,
        only_this_machine=config.is_for_this_machine,
        created=created,
        page=offer_of(recipe),
        retry_after_s=RETRY_AFTER_S,
    )
