"""From a recipe's search settings to a backend and the tools over it.

Apart from the agents: a process that only searches loads no model and no recipe.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fireact_ray.agent.tools.base import SearchBackend, Tool
from fireact_ray.agent.tools.config import IndexSearchConfig, ReplaySearchConfig, SearchBackendConfig, SearchConfig
from fireact_ray.agent.tools.noise import NEXT_HITS, SEARCH, Noise
from fireact_ray.agent.tools.search import SearchTool
from fireact_ray.core.calls import TOOLS, Names
from fireact_ray.core.storage.fetched import fetched
from fireact_ray.core.storage.node_cache import default_cache_dir


def open_backend(config: SearchConfig, share: float = 1.0, *, offline: bool = False) -> SearchBackend:
    """The backend with its cache, rate limit, circuit breaker and faults.

    `share`: of the allowed rate, for one of several actors; `offline`: it only has to name what would be searched, so
    it needs no key.

    Raises InputError for a missing or unreadable corpus or recording, and for a missing key.
    """
    from fireact_ray.agent.tools.stack import wrapped

    return wrapped(_open_source(config.backend, config.names, offline), config, default_cache_dir(), share)


def _open_source(config: SearchBackendConfig, names: Names, offline: bool) -> SearchBackend:
    if isinstance(config, IndexSearchConfig):
        from fireact_ray.agent.tools.corpus import corpus_key, read_corpus
        from fireact_ray.agent.tools.index import build_index

        if config.corpus == "almanac":
            from fireact_ray.tasks.almanac import corpus, corpus_fingerprint

            return build_index(corpus(), default_cache_dir(), corpus_fingerprint())
        path = Path(fetched(config.corpus))
        cache_dir = default_cache_dir()
        return build_index(read_corpus(path), cache_dir, corpus_key(path, cache_dir))
    if isinstance(config, ReplaySearchConfig):
        return open_recording(Path(fetched(config.path)), names)
    from fireact_ray.agent.tools.web.opening import open_web

    return open_web(config, with_key=not offline)


def open_recording(path: Path, names: Names = TOOLS) -> SearchBackend:
    """Either kind of recording, told apart by the first line. `names`: what the tools are called in it.

    Raises InputError.
    """
    from fireact_ray.agent.tools.replay import ReplayBackend, is_recording
    from fireact_ray.data.formats.importers import import_trajectories

    if is_recording(path):
        return ReplayBackend.from_jsonl(path)
    return ReplayBackend.from_trajectories(import_trajectories(path, names=names).trajectories)


def search_tools(config: SearchConfig, backend: SearchBackend, noise: Noise | None = None) -> dict[str, Tool]:
    """`noise`: what will be ordered in them, which may want the hits behind those that a search shows."""
    search = SearchTool(backend, config.n_hits, config.max_chars)
    if noise is None or noise.plan.kind != "distractor":
        return {SEARCH: search}
    return {SEARCH: search, NEXT_HITS: replace(search, name=NEXT_HITS, skip=config.n_hits)}
