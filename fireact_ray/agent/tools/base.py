"""What a tool and a search backend are."""

from typing import Protocol

from fireact_ray.core.types import Hit, Observation


class SearchBackend(Protocol):
    @property
    def fingerprint(self) -> str:
        """Names what is searched (kind and content hash); part of every row key."""
        ...

    async def search(self, query: str, k: int) -> list[Hit]:
        """The `k` best hits, possibly none. Raises ToolError when the backend cannot answer."""
        ...

    async def close(self) -> None: ...


class Tool(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...

    async def __call__(self, argument: str) -> Observation:
        """A failing backend gives an observation with status ERROR and a catalogue text; raises ToolDenied only."""
        ...
