"""Batched inference in this process, for models that fit on one CPU or GPU.

One worker thread decodes one token at a time for all requests that are in; a new request joins between two
tokens, a finished one leaves at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor

from fireact_ray.agent.models.base import Sampling
from fireact_ray.agent.models.engines.base import Generation, demand_fit
from fireact_ray.agent.models.engines.kv_cache import CachedSlots
from fireact_ray.agent.models.engines.llama import llama_pass
from fireact_ray.agent.models.engines.stopping import StopStrings
from fireact_ray.core.errors import ModelUnavailable

# Tokens, padding included, of one forward pass over new prompts. A CPU is busy with a few hundred, and
# prompts read one after the other can share what they begin with; a GPU wants many at once.
_MAX_READ = {"cpu": 512, "cuda": 16384}
_STOPS_KEPT = 64  # agents have one set of stop strings each


class TorchEngine:
    """An `Engine` for a causal language model of transformers whose layers all attend to the whole context.

    At temperature 0 a reply is that of `model.generate`, whoever shares the batch, up to ties within
    rounding; a seeded reply depends on its seed alone in the same sense. Memory: keys and values of
    `max_batch` times the longest conversation so far.
    """

    def __init__(
        self,
        model: Any,
        *,
        end_id: int,
        pad_id: int,
        decode: Callable[[Sequence[int]], str],
        max_context: int,
        max_batch: int = 64,
        adapters: Sequence[str] = (),
    ) -> None:
        """`decode` turns ids into text, in which stop strings are looked for. `adapters`: of a PeftModel, by PEFT's
        names, the first of them for who asks the engine itself; see `Attached` for the others.

        Raises InputError for a model of a shorter context, or with layers that see only a part of it.
        """
        self.max_context = max_context
        self._model = model.eval()
        self._vocabulary = model.get_input_embeddings().num_embeddings
        self._end_id = end_id
        self._pad_id = pad_id
        self._stops = lru_cache(_STOPS_KEPT)(partial(StopStrings, decode=decode))
        self._max_batch = max_batch
        self._adapters = adapters
        self._llama = None if adapters else llama_pass(model, max_context)
        self._max_read = _MAX_READ["cuda" if model.device.type == "cuda" else "cpu"]
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="torch-engine")
        self._lock = threading.Lock()  # guards the next three
        self._waiting: list[_Request] = []
        self._serving = False
        self._closed = False
        # From here on the worker thread's own.
        self._arrived: list[_Request] = []  # just let in
        self._rows: list[_Request | None] = []  # row i is in slot i; None: idle, though a later one is not
        self._slots = self._empty_slots()

    async def generate(self, prompt_ids: Sequence[int], sampling: Sampling) -> Generation:
        return await self.generate_by(0, self._end_id, prompt_ids, sampling)

    async def generate_by(self, adapter: int, end_id: int, prompt_ids: Sequence[int], sampling: Sampling) -> Generation:
        """One reply. Cancelling the caller takes its row out of the batch and leaves the others alone.

        Raises TokenLimit for an empty prompt and for one that, with `max_new_tokens`, does not fit into
        `max_context`; ModelRefused for ids that are none; ModelUnavailable once the engine is closed. A failing model
        fails all who wait.
        """
        demand_fit(prompt_ids, sampling, self.max_context, self._vocabulary)
        stops = self._stops(sampling.stop)
        request = _Request(list(prompt_ids), sampling, random.Random(sampling.seed), stops, end_id, adapter)
        with self._lock:
            if self._closed:
                raise ModelUnavailable("The engine is closed.")
            self._waiting.append(request)
            # Within the lock, so that the thread cannot be shut down in between.
            started = None if self._serving else self._thread.submit(self._serve)
            self._serving = True
        if started is not None:
            started.add_done_callback(self._after_serving)
        return await asyncio.wrap_future(request.reply)

    async def close(self) -> None:
        """End the worker thread after its current token; who still waits gets ModelUnavailable."""
        with self._lock:
            self._closed = True
        await asyncio.to_thread(self._thread.shutdown)

    def _serve(self) -> None:
        """Until nobody waits: let in whoever has come, then one more token for every row."""
        with torch.inference_mode():
            while self._admit():
                self._close_gaps()
                if self._rows:
                    newest = {i: row.new_ids[-1:] if row else [] for i, row in enumerate(self._rows)}
                    if not self._slots.wants_neighbours:
                        newest = {i: new for i, new in newest.items() if new}
                    self._compute(newest)

    def _admit(self) -> bool:
        """Let in as many as there is room for, and read their prompts. False when nobody is left."""
        with self._lock:
            if self._closed:
                raise ModelUnavailable("The engine was closed before it had replied.")
            room = self._max_batch - sum(row is not None for row in self._rows)
            arrived, self._waiting = self._waiting[:room], self._waiting[room:]
            self._arrived = [request for request in arrived if not request.reply.cancelled()]
            self._serving = bool(arrived or self._rows)
        n_rows = sum(row is not None for row in self._rows) + len(self._arrived)
        self._slots.reserve(n_rows, max((request.needed for request in self._arrived), default=0))
        group: dict[int, list[int]] = {}  # what is new to each slot: one forward pass
        for request in sorted(self._arrived, key=lambda request: len(request.prompt_ids)):  # less padding
            prompt = request.prompt_ids
            longest = max([len(prompt) - self._slots.known(prompt, request.adapter), *map(len, group.values())])
            if group and longest * (len(group) + 1) > self._max_read:
                # Before the next one claims its slot: it may then take over instructions they share.
                self._compute(group)
                group = {}
            busy = [i for i, row in enumerate(self._rows) if row]
            slot, known = self._slots.claim(prompt, busy, request.adapter)
            self._rows += [None] * (slot + 1 - len(self._rows))
            self._rows[slot] = request
            group[slot] = prompt[known:]
        if group:
            self._compute(group)
        self._arrived = []
        return self._serving

    def _close_gaps(self) -> None:
        """Where idle rows cost time, as moving rows does: fill gaps once they are a quarter of all."""
        while self._rows and (self._rows[-1] is None or self._has_many_gaps()):
            last = self._rows.pop()
            if last is not None:
                gap = self._rows.index(None)
                self._slots.swap(gap, len(self._rows))
                self._rows[gap] = last

    def _has_many_gaps(self) -> bool:
        return self._slots.wants_neighbours and self._rows.count(None) > len(self._rows) // 4

    def _compute(self, new_ids: dict[int, list[int]]) -> None:
        """One forward pass, and one more token for each row that has new ids in it. Finished rows leave."""
        logits = self._slots.extend(list(new_ids), list(new_ids.values()))
        rows = [(i, slot, row) for i, slot in enumerate(new_ids) if (row := self._rows[slot]) is not None]
        chosen = _choose(logits[[i for i, _, _ in rows]], [row for _, _, row in rows])
        for (_, slot, row), token in zip(rows, chosen, strict=True):
            reason = self._finish_reason(row, token)
            if reason is not None:
                with contextlib.suppress(InvalidStateError):  # the caller has just been cancelled
                    row.reply.set_result(Generation(tuple(row.new_ids), reason))
            if reason is not None or row.reply.cancelled():
                self._rows[slot] = None

    def _finish_reason(self, request: _Request, token: int) -> str | None:
        if token == request.end_id:
            return "stop"
        request.new_ids.append(token)
        if request.stops.completed_by(request.new_ids):
            return "stop"
        return "length" if len(request.new_ids) >= request.sampling.max_new_tokens else None

    def _empty_slots(self) -> CachedSlots:
        return CachedSlots(
            self._model,
            max_slots=self._max_batch,
            max_context=self.max_context,
            pad_id=self._pad_id,
            adapters=self._adapters,
            llama=self._llama,
        )

    def _after_serving(self, serving: Future[None]) -> None:
        """Hand a failure of the worker to everybody who waits; the next request finds empty slots."""
        error = serving.exception()
        if error is None:
            return
        with self._lock:
            waiting = [*filter(None, self._rows), *self._arrived, *self._waiting]
            self._waiting, self._serving = [], False
            self._arrived, self._rows, self._slots = [], [], self._empty_slots()
        for request in waiting:
            with contextlib.suppress(InvalidStateError):
                request.reply.set_exception(error)


@dataclass(frozen=True)
class Attached:
    """An `Engine`: one adapter of a TorchEngine that has several, by its number among them, in the batches of all.
    `end_id`: of its renderer."""

    engine: TorchEngine
    adapter: int
    end_id: int

    @property
    def max_context(self) -> int:
        return self.engine.max_context

    async def generate(self, prompt_ids: Sequence[int], sampling: Sampling) -> Generation:
        return await self.engine.generate_by(self.adapter, self.end_id, prompt_ids, sampling)

    async def close(self) -> None:
        await self.engine.close()


@dataclass(slots=True)
class _Request:
    prompt_ids: list[int]
    sampling: Sampling
    random: random.Random
    stops: StopStrings
    end_id: int
    adapter: int
    new_ids: list[int] = field(default_factory=list)
    reply: Future[Generation] = field(default_factory=Future)

    @property
    def needed(self) -> int:
        """Tokens that its slot holds in the end, at most."""
        return len(self.prompt_ids) + self.sampling.max_new_tokens


def _choose(logits: Tensor, requests: Sequence[_Request]) -> list[int]:
    """The next token of each request; `logits` (requests, vocabulary)."""
    chosen = logits.argmax(-1)
    sampled = [i for i, request in enumerate(requests) if request.sampling.temperature > 0]
    if sampled:
        # One number per request, from its own generator: what it draws does not depend on its neighbours.
        numbers = [(requests[i].sampling.temperature, requests[i].random.random()) for i in sampled]
        temperature, drawn = torch.tensor(numbers, dtype=torch.float64, device=logits.device).split(1, dim=1)
        up_to = (logits[sampled].double() / temperature).softmax(-1).cumsum(-1)
        picked = torch.searchsorted(up_to, drawn * up_to[:, -1:], right=True).squeeze(1)
        chosen[sampled] = picked.clamp(max=logits.shape[1] - 1)
    ids: list[int] = chosen.tolist()
    return ids
