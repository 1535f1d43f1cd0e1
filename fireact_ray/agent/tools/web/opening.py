"""From a section of the recipe to a search provider."""

from __future__ import annotations

from fireact_ray.agent.tools.config import (
    BraveSearchConfig,
    RetrieveSearchConfig,
    SerpApiSearchConfig,
    SerperSearchConfig,
    TavilySearchConfig,
    WebSearchConfig,
)
from fireact_ray.agent.tools.web.backend import Provider, WebBackend
from fireact_ray.agent.tools.web.brave import Brave
from fireact_ray.agent.tools.web.http import HttpPolicy
from fireact_ray.agent.tools.web.retrieve import Retrieve
from fireact_ray.agent.tools.web.serpapi import SerpApi
from fireact_ray.agent.tools.web.serper import Serper
from fireact_ray.agent.tools.web.tavily import Tavily
from fireact_ray.agent.tools.web.wikipedia import Wikipedia
from fireact_ray.core.secrets import ApiKey


def open_web(config: WebSearchConfig, *, with_key: bool = True) -> WebBackend:
    """Raises InputError naming the variable or file of a missing key."""
    named = with_key and (config.api_key_env is not None or config.api_key_file is not None)
    key = ApiKey(config.api_key_env, config.api_key_file, f"The search '{config.kind}'") if named else None
    policy = HttpPolicy(config.timeout_s, config.max_attempts, config.max_connections)
    return WebBackend(_provider(config), key, policy)


def _provider(config: WebSearchConfig) -> Provider:
    match config:
        case SerpApiSearchConfig():
            return SerpApi(config.base_url, config.country, config.language)
        case SerperSearchConfig():
            return Serper(config.base_url, config.country, config.language)
        case TavilySearchConfig():
            return Tavily(config.base_url, config.depth)
        case BraveSearchConfig():
            return Brave(config.base_url, config.country, config.language)
        case RetrieveSearchConfig():
            return Retrieve(config.base_url)
        case _:
            return Wikipedia(config.base_url)
