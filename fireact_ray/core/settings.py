"""What every section of a recipe is: frozen, and strict about its keys. And the types that several sections use."""

from collections.abc import Callable, Container, Hashable
from functools import cache
from types import NoneType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializationInfo,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails

from fireact_ray.core.paths import absolute, absolute_model, goes_with_a_job, last_name

Named = TypeVar("Named")


def _plain_url(url: str) -> str:
    """An address, and nothing that could be a secret."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("expected an address such as http://127.0.0.1:8000")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("an address holds no user, password or query: keys are named by api_key_env or api_key_file")
    return url.rstrip("/")


def _place_or_name(place: str, info: SerializationInfo) -> str:
    return last_name(place) if info.context == NAMES else place


def _keyless(place: str) -> str:
    if "://" in place and "@" in place.partition("://")[2].partition("/")[0]:
        raise ValueError(
            "a place holds no key: a bucket's are read from the environment (AWS_ACCESS_KEY_ID and such) or are the "
            "machine's role"
        )
    return place


def _absolute_corpus(corpus: str) -> str:
    return corpus if corpus == "almanac" else absolute(corpus)


def _stays(path: str) -> str:
    if goes_with_a_job(path):
        raise ValueError(
            "this lies in the Ray job's own copy of its working folder, which is deleted with the job: name storage "
            "that stays and that every node sees, such as --set output_dir=/shared/runs or s3://bucket/runs"
        )
    return path


def not_empty(names: tuple[Named, ...]) -> tuple[Named, ...]:
    if not names:
        raise ValueError("name at least one")
    return names


_NULLS = ("null", "none", "nil", "nan", "undefined")
NAMES = "names"  # context of a dump for others, in which places are given by their last names

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][\w.-]{0,95}$")]  # of a folder
Rate = Annotated[float, Field(ge=0, le=1)]  # a share or a probability
Share = Annotated[float, Field(ge=0, lt=1)]  # of which something is left
BaseUrl = Annotated[str, AfterValidator(_plain_url)]
_as_place = PlainSerializer(_place_or_name)
_no_key = AfterValidator(_keyless)
Place = Annotated[str, AfterValidator(absolute), _no_key, _as_place]  # a path, made absolute, or a URL
StayingPlace = Annotated[str, AfterValidator(absolute), AfterValidator(_stays), _no_key, _as_place]
CorpusPlace = Annotated[str, AfterValidator(_absolute_corpus), _no_key, _as_place]
ModelPlace = Annotated[str, AfterValidator(absolute_model), _no_key, _as_place]  # a folder, or a name


class Section(BaseModel):
    """Refuses what pydantic would turn into a value that nobody meant: `false` is no 0, and "none" is a text."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _as_it_is_meant(cls, given: Any) -> Any:
        fields = cls.model_fields
        known = given.items() if isinstance(given, dict) else ()
        found = [(name, value, _misfit(value, fields[name].annotation)) for name, value in known if name in fields]
        problems = [_problem(name, value, reason) for name, value, reason in found if reason is not None]
        if problems:
            raise ValidationError.from_exception_data(cls.__name__, problems)
        return given


def _problem(name: str, value: Any, reason: str) -> InitErrorDetails:
    return {"type": "value_error", "loc": (name,), "input": value, "ctx": {"error": ValueError(reason)}}


def _misfit(value: Any, annotation: Any) -> str | None:
    """Why a value is not what a field of this annotation means, though pydantic would take it."""
    kinds = _kinds(annotation)
    items = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else (value,)
    if bool not in kinds and not kinds.isdisjoint((int, float)) and any(isinstance(item, bool) for item in items):
        return "expected a number; null switches it off" if NoneType in kinds else "expected a number"
    is_null = NoneType in kinds and isinstance(value, str) and value.strip().lower() in _NULLS
    if is_null and value not in kinds:
        return "this is a text; for no value write null, without quotes"
    return None


@cache
def _kinds(annotation: Hashable) -> frozenset[Any]:
    """The plain types that an annotation is made of, such as float and NoneType of `Rate | None`, and the values it
    lists. Those of a section within are its own."""
    inner = get_args(annotation)
    if get_origin(annotation) is Annotated:
        inner = inner[:1]
    elif get_origin(annotation) is Literal:
        return frozenset(inner).union(map(type, inner))
    return frozenset({annotation}).union(*map(_kinds, inner)) if inner else frozenset({annotation})


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
