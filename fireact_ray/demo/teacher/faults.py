"""What can go wrong on the way to a reply, drawn from a seed: a failing run fails the same way again."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from enum import StrEnum

from fireact_ray.core.errors import InputError
from fireact_ray.demo.teacher.malformed import SHAPES


class Fault(StrEnum):
    RATE_LIMITED = "rate_limited"  # 429 with Retry-After
    SERVER_ERROR = "server_error"  # 500
    RESET = "reset"  # the connection breaks before any byte of the reply
    HANG = "hang"  # no byte ever comes; ends when the client gives up
    MALFORMED = "malformed"  # 200 with a body of one of the twelve shapes of malformed.py
    TRUNCATED = "truncated"  # 200 whose body breaks off


@dataclass(frozen=True, slots=True)
class Latency:
    """Time to the first byte: log-normal around the median, constant for sigma 0.

    A share `stall_rate` of the requests takes `stall_factor` times as long. Raises InputError where that is no share.
    """

    median_s: float = 0.0
    sigma: float = 0.0
    seed: int = 0
    stall_rate: float = 0.0
    stall_factor: float = 6.0

    def __post_init__(self) -> None:
        if not 0 <= self.stall_rate <= 1 or self.stall_factor < 0:
            raise InputError(
                f"Stalls need a rate from 0 to 1 and a factor of at least 0, found {self.stall_rate} and "
                f"{self.stall_factor}."
            )

    def draw_s(self, request_hash: str) -> float:
        """The same request always takes the same time."""
        rng = random.Random(f"{self.seed} latency {request_hash}")
        latency_s = self.median_s * math.exp(rng.gauss(0.0, self.sigma))
        return latency_s * self.stall_factor if rng.random() < self.stall_rate else latency_s


@dataclass(frozen=True, slots=True)
class FaultRates:
    """Probability of each fault per request; at most 1 in total. Raises InputError otherwise."""

    rate_limited: float = 0.0
    server_error: float = 0.0
    reset: float = 0.0
    hang: float = 0.0
    malformed: float = 0.0
    truncated: float = 0.0
    retry_after_s: float = 1.0  # what a 429 says
    seed: int = 0

    def __post_init__(self) -> None:
        rates = [getattr(self, fault) for fault in Fault]
        if min(rates) < 0 or sum(rates) > 1:
            raise InputError(f"Fault rates must be at least 0 and at most 1 in total, found {rates}.")

    def draw(self, request_hash: str, nth: int) -> Fault | None:
        """The fault of a request that is seen for the nth time, from 0; a retry is another draw."""
        at = random.Random(f"{self.seed} fault {request_hash} {nth}").random()
        for fault in Fault:
            at -= getattr(self, fault)
            if at < 0:
                return fault
        return None

    def draw_shape(self, request_hash: str, nth: int) -> str:
        """The name of the shape of a malformed reply (see malformed.SHAPES)."""
        return random.Random(f"{self.seed} shape {request_hash} {nth}").choice(list(SHAPES))
