"""One run of a benchmark on a device: what fails does not end the rest, and what is known is on disk at once."""

from __future__ import annotations

import gc
import json
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch

from fireact_ray.training.precision import by_hardware

log = logging.getLogger(__name__)
GIB = 1 << 30
_T = TypeVar("_T")


class Bench:
    """`limit_s`: nothing is begun later than so many seconds after the start."""

    def __init__(self, device: torch.device, out: Path, limit_s: float, about: dict[str, Any]) -> None:
        self.device = device
        self.precision = by_hardware("auto", device)
        self._out = out
        self._started = time.monotonic()
        self._limit_s = limit_s
        card = torch.cuda.get_device_properties(device) if device.type == "cuda" else None
        self.about = {
            **about,
            "device": card.name if card else "CPU",
            "memory_gib": card.total_memory / GIB if card else None,
            "torch": torch.__version__,
            "precision_auto": str(self.precision),
        }
        self.entries: list[dict[str, Any]] = []

    def run(self, kind: str, name: str, measure: Callable[[], Any], needs_gib: float = 0.0) -> Any:
        """What `measure` returns, also printed and written; None, with the reason in its entry, where there is nothing.

        Memory that nobody holds is given back before and after; the peak is that of `measure`, what was there included.
        """
        entry, found = self._tried(kind, name, measure, needs_gib)
        if found is not None:
            entry["result"] = found
        self._keep(entry)
        return found

    def made(self, kind: str, name: str, make: Callable[[], _T], needs_gib: float) -> _T | None:
        """As `run`, of an object that is used further on and is no result."""
        entry, found = self._tried(kind, name, make, needs_gib)
        self._keep(entry)
        return found

    def _tried(
        self, kind: str, name: str, measure: Callable[[], _T], needs_gib: float
    ) -> tuple[dict[str, Any], _T | None]:
        self._forget()
        entry: dict[str, Any] = {"kind": kind, "name": name}
        if time.monotonic() - self._started > self._limit_s:
            return {**entry, "left_out": f"{self._limit_s:.0f} s have passed"}, None
        if (room := self._room_gib()) < needs_gib:
            return {**entry, "left_out": f"needs about {needs_gib:.0f} GiB, {room:.0f} are to be had"}, None
        begun, found = time.monotonic(), None
        try:
            found = measure()
        except torch.OutOfMemoryError as error:
            entry["failed"] = f"out of memory: {str(error).splitlines()[0]}"
        except Exception as error:  # whatever it is, the other settings are worth their time
            entry["failed"] = f"{type(error).__name__}: {error}"
            log.exception("%s, %s", kind, name)
        entry |= {
            "seconds": time.monotonic() - begun,
            "peak_gib": self._peak_gib(),
            "reserved_gib": self._reserved_gib(),
        }
        self._forget()
        return entry, found

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def _keep(self, entry: dict[str, Any]) -> None:
        self.entries.append(entry)
        text = json.dumps({"about": self.about, "entries": self.entries}, indent=1)
        self._out.parent.mkdir(parents=True, exist_ok=True)
        self._out.write_text(text + "\n", encoding="utf-8")
        shown = {key: value for key, value in entry.items() if key not in ("kind", "name")}
        at = time.monotonic() - self._started
        print(f"{at:6.1f} s  {entry['kind']}, {entry['name']}: {json.dumps(_rounded(shown))}", flush=True)

    def _room_gib(self) -> float:
        """Free, or held by what the next measurement uses too."""
        if self.device.type != "cuda":
            return math.inf
        free, _ = torch.cuda.mem_get_info(self.device)
        return (free + torch.cuda.memory_reserved(self.device)) / GIB

    def _peak_gib(self) -> float | None:
        return torch.cuda.max_memory_allocated(self.device) / GIB if self.device.type == "cuda" else None

    def _reserved_gib(self) -> float | None:
        """With what the allocator holds and does not use."""
        return torch.cuda.max_memory_reserved(self.device) / GIB if self.device.type == "cuda" else None

    def _forget(self) -> None:
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)


def _rounded(value: Any) -> Any:
    """For a line that a person reads."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value
