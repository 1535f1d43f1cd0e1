"""GET /healthz: whether what a server depends on answers now, by name."""

from __future__ import annotations

import asyncio
import logging

from starlette.responses import JSONResponse

from fireact_ray.serving.settings import Health, Hooks

_PATIENCE_S = 5.0  # what does not answer within it is not well

logger = logging.getLogger(__name__)


class Probe:
    """Asks what a server depends on. Whoever asks while that is under way is told the same: the route wants no key, and
    many who call it cost no more than one."""

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks
        self._asking: asyncio.Task[Health] | None = None

    async def reply(self, retry_after_s: float) -> JSONResponse:
        """{"status": "ok" | "unavailable", "engine": "ok", "search": "starting", ...}; 200 or 503."""
        health = await self._health()
        parts = {name: reason or "ok" for name, reason in health.parts.items()}
        headers = {} if health.ok else {"retry-after": str(max(1, round(retry_after_s)))}
        body = {"status": "ok" if health.ok else "unavailable", **parts}
        return JSONResponse(body, 200 if health.ok else 503, headers)

    async def _health(self) -> Health:
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._asked())
        return await asyncio.shield(self._asking)

    async def _asked(self) -> Health:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return await self._hooks.ready()
        except Exception as error:  # noqa: BLE001 (whatever it is, it is not ready)
            logger.warning("health: %s: %s", type(error).__name__, error)
            return Health({"server": "unavailable"})
