"""What every section of a recipe is: frozen, and strict about its keys."""

from collections.abc import Callable, Container
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Rate = Annotated[float, Field(ge=0, le=1)]  # a share or a probability


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def one_of(what: str, known: Container[str]) -> AfterValidator:
    """A text that is a known name; `what` says in words what kind of name."""
    return AfterValidator(check_name(what, known))


def check_name(what: str, known: Container[str]) -> Callable[[str], str]:
    names = sorted(known)  # type: ignore[call-overload]

    def check(name: str) -> str:
        if name not in known:
            raise ValueError(f"unknown {what}; known: {', '.join(names)}")
        return name

    return check
