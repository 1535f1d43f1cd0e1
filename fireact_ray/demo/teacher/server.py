"""The scripted teacher as a server, on loopback unless it is told otherwise, started and stopped from ordinary code.

    with ScriptedTeacher(BrainConfig(seed=0)) as teacher:
        client = openai.OpenAI(base_url=teacher.base_url, api_key="none-needed")

It runs in a thread with an event loop of its own, so that neither blocking nor asynchronous callers get in
its way.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from aiohttp import web

from fireact_ray.core.errors import InputError
from fireact_ray.demo.teacher.app import TeacherApp
from fireact_ray.demo.teacher.brain import Brain, BrainConfig
from fireact_ray.demo.teacher.calls import CallLog
from fireact_ray.demo.teacher.faults import FaultRates, Latency
from fireact_ray.demo.teacher.limiting import RateLimit
from fireact_ray.demo.teacher.protocol import MODEL_NAME

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
_CLOSING_S = 0.2  # how long requests in flight may go on after close()


class ScriptedTeacher:
    """Serves from construction until `close()`. Raises InputError when `port` is taken; 0 takes any free one.

    `api_key` None accepts every caller; otherwise others get a 401. `calls_file`: see demo.teacher.calls.
    """

    model_name = MODEL_NAME

    def __init__(
        self,
        brain: BrainConfig | None = None,
        *,
        faults: FaultRates | None = None,
        latency: Latency | None = None,
        rate_limit: RateLimit | None = None,
        port: int = 0,
        host: str = HOST,
        api_key: str | None = None,
        calls_file: Path | None = None,
    ) -> None:
        self._log = CallLog(calls_file)
        self._app = TeacherApp(
            Brain(brain), faults or FaultRates(), latency or Latency(), api_key, rate_limit, self._log
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="scripted-teacher", daemon=True)
        self._thread.start()
        try:
            self._runner = asyncio.run_coroutine_threadsafe(self._start(host, port), self._loop).result()
        except OSError as error:
            self._stop_loop()
            if error.errno != errno.EADDRINUSE:
                raise
            raise InputError(
                f"Port {port} of {host} is in use. Stop what listens there, or take port 0 for any free one."
            ) from None
        self.port: int = self._runner.addresses[0][1]
        self.base_url = f"http://{f'[{host}]' if ':' in host else host}:{self.port}/v1"
        logger.info("scripted teacher listens at %s", self.base_url)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], seed: int = 0, host: str = HOST) -> ScriptedTeacher:
        """From a recipe's `teacher.model` of kind `scripted` (see recipe.ScriptedModelConfig)."""
        brain = BrainConfig(seed, error_rate=config["error_rate"], memory=config["memory"])
        return cls(brain, latency=Latency(config["latency_median_s"], config["latency_sigma"], seed), host=host)

    def stats(self) -> dict[str, Any]:
        """The counts of GET /stats."""
        return self._app.stats()

    def close(self) -> None:
        """Cut off what is in flight and give the port back. A second call does nothing."""
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
            self._stop_loop()
            self._log.close()

    def __enter__(self) -> ScriptedTeacher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _start(self, host: str, port: int) -> web.AppRunner:
        app = web.Application(client_max_size=64 * 2**20)
        app.add_routes(self._app.routes())
        # Without handler_cancellation a hanging request would stay in flight after its client has gone.
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=_CLOSING_S)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port, backlog=1024).start()
        except OSError:
            await runner.cleanup()
            raise
        return runner

    def _stop_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
