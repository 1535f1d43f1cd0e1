"""GET /healthz: whether what a server depends on answers now, by name."""

from __future__ import annotations

import asyncio
import logging

from starlette.responses import JSONResponse

from fireact_ray.serving.settings import Health, Hooks

_PATIENCE_S = 5.0  # what does not answer within it is not well

logger = logging.getLogger(__name__)


async def health_reply(hooks: Hooks, retry_after_s: float) -> JSONResponse:
    """{"status": "ok" | "unavailable", "engine": "ok", "search": "starting", ...}; 200 or 503."""
    health = await _asked(hooks)
    parts = {name: reason or "ok" for name, reason in health.parts.items()}
    headers = {} if health.ok else {"retry-after": str(max(1, round(retry_after_s)))}
    body = {"status": "ok" if health.ok else "unavailable", **parts}
    return JSONResponse(body, 200 if health.ok else 503, headers)


async def _asked(hooks: Hooks) -> Health:
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return await hooks.ready()
    except Exception as error:  # noqa: BLE001 (whatever it is, it is not ready)
        logger.warning("health: %s: %s", type(error).__name__, error)
        return Health({"server": "unavailable"})
