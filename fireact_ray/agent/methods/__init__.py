"""Prompting methods by name. A new one is a class with `turns` and `parse` and a line in `METHODS`."""

from collections.abc import Callable

from fireact_ray.agent.methods.base import Method
from fireact_ray.agent.methods.direct import Answering
from fireact_ray.agent.methods.prompts import prompt_book
from fireact_ray.agent.methods.react import Acting

METHODS: dict[str, Callable[[str, bool, int], Method]] = {
    "io": lambda task, few_shot, reflect_every: Answering("io", prompt_book(task), thinks=False),
    "cot": lambda task, few_shot, reflect_every: Answering("cot", prompt_book(task), thinks=True),
    "react": lambda task, few_shot, reflect_every: Acting("react", prompt_book(task) if few_shot else None),
    "reflexion": lambda task, few_shot, reflect_every: Acting(
        "reflexion", prompt_book(task) if few_shot else None, reflect_every
    ),
}


def make_method(name: str, task: str, few_shot: bool = True, reflect_every: int = 4) -> Method:
    """The method `name` with the prompt book of `task`. `reflect_every`: steps between Reflexion's requests."""
    return METHODS[name](task, few_shot, reflect_every)
