"""Renderers by name. A new format is a module with a `Format` and a line in `RENDERERS`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fireact_ray.rendering.base import Format, Renderer
from fireact_ray.rendering.chat_template import ChatTemplate
from fireact_ray.rendering.fireact_alpaca import FireActAlpaca
from fireact_ray.rendering.llama2 import Llama2
from fireact_ray.rendering.plain import Plain
from fireact_ray.rendering.tools import Tools

if TYPE_CHECKING:  # it knows transformers, which a recipe must not load
    from fireact_ray.rendering.tokenizer import HubTokenizer

# The last two need the chat template of a HubTokenizer, the others no more than a `base.Tokenizer`.
RENDERERS: dict[str, Callable[[HubTokenizer], Format]] = {
    "plain": Plain,
    "fireact-alpaca": FireActAlpaca,
    "llama2": Llama2,
    "chat-template": ChatTemplate,
    "tools": Tools,
}


def make_renderer(name: str, tokenizer: HubTokenizer) -> Renderer:
    """Raises InputError where the tokenizer's chat template is missing or unfit."""
    return Renderer(name, tokenizer, RENDERERS[name](tokenizer))
