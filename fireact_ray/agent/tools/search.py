"""The search tool: a backend's best hits as one inert observation line."""

from dataclasses import dataclass

from fireact_ray.agent.tools.base import SearchBackend
from fireact_ray.core.errors import ToolDenied, ToolError
from fireact_ray.core.grammar import neutralise
from fireact_ray.core.observations import NO_RESULTS, SEARCH_FAILED
from fireact_ray.core.types import Hit, Observation, ObservationStatus

_RAW_PER_SHOWN = 4  # characters that are looked at per character shown: cleaning drops control and space characters


@dataclass(frozen=True)
class SearchTool:
    """`n_hits` results in one observation of at most `max_chars` characters. `skip`: so many best hits are passed
    over."""

    backend: SearchBackend
    n_hits: int = 1
    max_chars: int = 600
    name: str = "search"
    skip: int = 0

    @property
    def fingerprint(self) -> str:
        skipped = f",skip={self.skip}" if self.skip else ""
        return f"search({self.backend.fingerprint},k={self.n_hits},chars={self.max_chars}{skipped})"

    async def __call__(self, argument: str) -> Observation:
        """Raises ToolDenied only, which concerns the run and not this call."""
        try:
            hits = (await self.backend.search(argument, self.skip + self.n_hits))[self.skip :]
        except ToolDenied:
            raise
        except ToolError:
            return Observation(SEARCH_FAILED, ObservationStatus.ERROR)
        # Cut before it is cleaned, character by character: a page of 10 MB would hold up every other search.
        raw_chars = self.max_chars * _RAW_PER_SHOWN
        raw = " ".join(_line(hit, raw_chars) for hit in hits[: self.n_hits])
        text = neutralise(raw[:raw_chars], self.max_chars)
        return Observation(text) if text else Observation(NO_RESULTS, ObservationStatus.EMPTY)


def _line(hit: Hit, max_chars: int) -> str:
    """The title says what a text is about, unless the text says so itself."""
    title, text = hit.title[:max_chars], hit.text[:max_chars]
    return text if not title or title in text else f"{title}: {text}"
