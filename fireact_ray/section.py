"""What every section of a recipe is: frozen, and strict about its keys. And the types that several sections use."""

from collections.abc import Callable, Container
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _plain_url(url: str) -> str:
    """An address, and nothing that could be a secret."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("expected an address such as http://127.0.0.1:8000")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("an address holds no user, password or query: keys are named by api_key_env or api_key_file")
    return url.rstrip("/")


Rate = Annotated[float, Field(ge=0, le=1)]  # a share or a probability
BaseUrl = Annotated[str, AfterValidator(_plain_url)]


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
