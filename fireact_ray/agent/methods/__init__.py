"""Prompting methods by name. A new one is a class with `turns` and `parse` and a line in `METHODS`."""

from collections.abc import Callable

from fireact_ray.agent.methods.base import Method
from fireact_ray.agent.methods.direct import Answering
from fireact_ray.agent.methods.prompts import prompt_book
from fireact_ray.agent.methods.react import Acting
from fireact_ray.core.calls import TOOLS, Names

METHODS: dict[str, Callable[[str, bool, int, Names], Method]] = {
    "io": lambda task, few_shot, reflect_every, names: Answering("io", prompt_book(task), thinks=False),
    "cot": lambda task, few_shot, reflect_every, names: Answering("cot", prompt_book(task), thinks=True),
    "react": lambda task, few_shot, reflect_every, names: Acting(
        "react", prompt_book(task) if few_shot else None, names=names
    ),
    "reflexion": lambda task, few_shot, reflect_every, names: Acting(
        "reflexion", prompt_book(task) if few_shot else None, reflect_every, names=names
    ),
}


def make_method(name: str, task: str, few_shot: bool = True, reflect_every: int = 4, names: Names = TOOLS) -> Method:
    """The method `name` with the prompt book of `task`. `reflect_every`: steps between Reflexion's requests; `names`:
    what models may call the tools."""
    return METHODS[name](task, few_shot, reflect_every, names)
