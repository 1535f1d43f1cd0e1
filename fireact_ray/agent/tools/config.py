"""The `search` section of a recipe: which backend, what stands around it, how much of it an observation shows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, NonNegativeFloat, PositiveFloat, PositiveInt

from fireact_ray.agent.tools.faults import FaultKind, FaultPlan
from fireact_ray.core.call_objects import folded_name
from fireact_ray.core.calls import TOOLS, Names, tool_names
from fireact_ray.core.errors import InputError
from fireact_ray.core.paths import named
from fireact_ray.core.settings import BaseUrl, CorpusPlace, Place, Rate, Section
from fireact_ray.core.storage.fetched import fetched
from fireact_ray.core.storage.node_cache import default_cache_dir


class IndexSearchConfig(Section):
    """BM25 over a JSONL corpus of {title, text} rows, or over the bundled encyclopedia (`corpus: almanac`)."""

    kind: Literal["index"] = "index"
    corpus: CorpusPlace = "almanac"


class ReplaySearchConfig(Section):
    """Recorded results: a JSONL file of {query, text} rows, or FireAct's released files."""

    kind: Literal["replay"]
    path: Place


class _WebConfig(Section):
    """`timeout_s` is per try, `max_connections` per search actor. The key is read from the variable or the file."""

    api_key_env: str | None = None
    api_key_file: Place | None = None
    timeout_s: PositiveFloat = 20.0
    max_attempts: PositiveInt = 4
    max_connections: PositiveInt = 32


class SerpApiSearchConfig(_WebConfig):
    """Google by SerpAPI: what FireAct used."""

    kind: Literal["serpapi"]
    base_url: BaseUrl = "https://serpapi.com"
    api_key_env: str | None = "SERPAPI_API_KEY"
    country: str = "us"
    language: str = "en"


class SerperSearchConfig(_WebConfig):
    """Google by Serper."""

    kind: Literal["serper"]
    base_url: BaseUrl = "https://google.serper.dev"
    api_key_env: str | None = "SERPER_API_KEY"
    country: str = "us"
    language: str = "en"


class TavilySearchConfig(_WebConfig):
    """Tavily. `depth: advanced` costs twice as much."""

    kind: Literal["tavily"]
    base_url: BaseUrl = "https://api.tavily.com"
    api_key_env: str | None = "TAVILY_API_KEY"
    depth: Literal["basic", "advanced"] = "basic"


class BraveSearchConfig(_WebConfig):
    """Brave's own index of the web."""

    kind: Literal["brave"]
    base_url: BaseUrl = "https://api.search.brave.com"
    api_key_env: str | None = "BRAVE_API_KEY"
    country: str = "US"
    language: str = "en"


class WikipediaSearchConfig(_WebConfig):
    """Introductions of Wikipedia's pages, or of any MediaWiki with extracts. Needs no key."""

    kind: Literal["wikipedia"]
    base_url: BaseUrl = "https://en.wikipedia.org"


class RetrieveSearchConfig(_WebConfig):
    """Any server with Search-R1's POST /retrieve. A key, where one is named, goes along as a bearer token."""

    kind: Literal["retrieve"]
    base_url: BaseUrl = "http://127.0.0.1:8000"


WebSearchConfig = (
    SerpApiSearchConfig
    | SerperSearchConfig
    | TavilySearchConfig
    | BraveSearchConfig
    | WikipediaSearchConfig
    | RetrieveSearchConfig
)
SearchBackendConfig = Annotated[
    IndexSearchConfig | ReplaySearchConfig | WebSearchConfig,
    Field(discriminator="kind"),
]


class CacheConfig(Section):
    """Results on disk, shared by all runs of a machine. `enabled` null: for searches on the web only. `dir` null: in
    $FIREACT_CACHE or ~/.cache/fireact_ray; it must be on a local disk."""

    enabled: bool | None = None
    dir: Place | None = None


class RateConfig(Section):
    """At most `per_second` searches over all actors (null: no limit), `burst` of them at once in each."""

    per_second: PositiveFloat | None = None
    burst: PositiveInt = 1


class BreakerConfig(Section):
    """After so many `failures` in a row (null: never) searches fail at once; after `pause_s` one probes.

    Off by default: it spares a provider that is down, but the rows under way then end as tool errors much faster.
    """

    failures: PositiveInt | None = None
    pause_s: PositiveFloat = 30.0


class FaultsConfig(Section):
    """Faults to order, each search struck with `probability` (see agent/tools/faults.py). `kind` null: no faults; not
    to be confused with the kind `none`, a search that finds nothing."""

    kind: FaultKind | None = None
    probability: Rate = 0.5
    seed: int = 0
    latency_s: NonNegativeFloat = 5.0

    def plan(self) -> FaultPlan | None:
        if self.kind is None or self.probability == 0:
            return None
        return FaultPlan(self.kind, self.probability, self.seed, self.latency_s)


def _aliases(aliases: dict[str, Literal["search", "finish"]]) -> dict[str, Literal["search", "finish"]]:
    for alias, tool in aliases.items():
        if not folded_name(alias):
            raise ValueError("a tool's other name is empty")
        if TOOLS.get(folded_name(alias), tool) != tool:
            raise ValueError(f"'{alias}' is the name of {TOOLS[folded_name(alias)]}, and cannot mean {tool}")
    return aliases


Aliases = Annotated[dict[str, Literal["search", "finish"]], AfterValidator(_aliases)]


class SearchConfig(Section):
    """The search tool. `actors`: async Ray actors that serve all searches of a run. `aliases`: what models and
    recordings call it beside `search` (and `finish` beside `finish`), letter case, hyphens and underscores apart."""

    backend: SearchBackendConfig = IndexSearchConfig()
    n_hits: PositiveInt = 1
    max_chars: PositiveInt = 600
    actors: PositiveInt = 1
    cache: CacheConfig = CacheConfig()
    rate: RateConfig = RateConfig()
    breaker: BreakerConfig = BreakerConfig()
    faults: FaultsConfig = FaultsConfig()
    aliases: Aliases = Field(default_factory=dict)

    @property
    def names(self) -> Names:
        """The tools by every name that is read as theirs."""
        return tool_names(self.aliases)

    @property
    def is_cached(self) -> bool:
        return isinstance(self.backend, _WebConfig) if self.cache.enabled is None else self.cache.enabled

    def shaping(self) -> dict[str, Any]:
        """What shapes observations, for a run folder to remember. Keys, limits, pace and cache may change in a run.

        Raises InputError for a missing corpus or recording.
        """
        shaped: dict[str, Any] = {
            "backend": {**self.backend.model_dump(mode="json", exclude=set(_WebConfig.model_fields)), **self._files()},
            "n_hits": self.n_hits,
            "max_chars": self.max_chars,
        }
        if self.aliases:
            shaped["aliases"] = dict(self.aliases)
        return {**shaped, "faults": self.faults.model_dump(mode="json")} if self.faults.plan() else shaped

    def _files(self) -> dict[str, Any]:
        """The backend's file by its name and content."""
        from fireact_ray.agent.tools.corpus import corpus_key

        backend = self.backend
        if isinstance(backend, IndexSearchConfig) and backend.corpus != "almanac":
            return {"corpus": named(backend.corpus, corpus_key(Path(fetched(backend.corpus)), default_cache_dir()))}
        if isinstance(backend, ReplaySearchConfig):
            path = Path(fetched(backend.path))
            if not path.is_file():
                raise InputError(
                    f"Recording {backend.path}: no such file. Give a JSONL file of {{'query', 'text'}} rows, or one of "
                    "FireAct's released files."
                )
            return {"path": named(backend.path, corpus_key(path, default_cache_dir()))}
        return {}
