"""What a prompting method is: question and steps so far -> turns; reply -> thought and action."""

from collections.abc import Sequence
from typing import Protocol

from fireact_ray.core.grammar import Parsed
from fireact_ray.core.types import Question, Step, Turn


class Method(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def tools(self) -> tuple[str, ...]:
        """Names of the tools that its prompt offers, `finish` apart."""
        ...

    @property
    def stop(self) -> tuple[str, ...]:
        """Stop strings of one reply."""
        ...

    @property
    def prompt_hash(self) -> str:
        """Of all text that this method adds around question and steps, and of other names that it takes for tools."""
        ...

    def turns(self, question: Question, steps: Sequence[Step]) -> tuple[Turn, ...]:
        """The conversation that asks for the next step."""
        ...

    def parse(self, text: str) -> Parsed:
        """Take the model's newest reply apart."""
        ...
