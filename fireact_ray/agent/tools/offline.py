"""A search that may not be made: an offline run answers every search from its recording."""

from __future__ import annotations

from fireact_ray.core.errors import ToolDenied
from fireact_ray.core.types import Hit


class OfflineBackend:
    """Only names what was searched, so that row keys are those of the recorded run."""

    def __init__(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint

    async def search(self, query: str, k: int) -> list[Hit]:
        raise ToolDenied("Offline: this run searches nothing")

    async def close(self) -> None:
        """Nothing to release."""
