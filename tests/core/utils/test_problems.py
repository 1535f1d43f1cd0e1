from typing import Annotated, Literal

import pytest
from pydantic import Field, PositiveInt, ValidationError, model_validator

from fireact_ray.core.settings import Section
from fireact_ray.core.utils.problems import problems_of


class Cat(Section):
    kind: Literal["cat"] = "cat"
    lives: PositiveInt = 9


class Dog(Section):
    kind: Literal["dog"] = "dog"
    tricks: dict[str, PositiveInt] = Field(default_factory=dict)


class Home(Section):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] = Cat()
    other: Cat | None = None
    guests: tuple[Annotated[Cat | Dog, Field(discriminator="kind")], ...] = ()
    rooms: PositiveInt
    tone: Literal["soft", "loud"] = "soft"

    @model_validator(mode="after")
    def _is_quiet(self) -> "Home":
        if self.tone == "loud":
            raise ValueError("too loud for the rooms")
        return self


@pytest.mark.parametrize(
    ("found", "problems"),
    [
        ({}, ["rooms: required, but missing."]),
        ({"rooms": 0}, ["rooms: input should be greater than 0; found 0."]),
        ({"rooms": 1, "roms": 2}, ["roms: unknown key. Did you mean 'rooms'? Known: guests, other, pet, rooms, tone."]),
        ({"rooms": 1, "tone": "lout"}, ["tone: expected one of soft, loud; found 'lout'. Did you mean 'loud'?"]),
        ({"rooms": 1, "tone": "loud"}, ["too loud for the rooms."]),
        ({"rooms": 1, "pet": {"kind": "cow"}}, ["pet: expected one of cat, dog; found 'cow'."]),
        ({"rooms": 1, "pet": {"kind": "cat", "lives": 0}}, ["pet.lives: input should be greater than 0; found 0."]),
        ({"rooms": 1, "pet": {"kind": "dog", "lives": 1}}, ["pet.lives: unknown key. Known: kind, tricks."]),
        (
            {"rooms": 1, "pet": {"kind": "dog", "tricks": {"sit": -1}}},
            ["pet.tricks.sit: input should be greater than 0; found -1."],
        ),
        ({"rooms": 1, "other": {"lives": -1}}, ["other.lives: input should be greater than 0; found -1."]),
        ({"rooms": 1, "other": {"lifes": 1}}, ["other.lifes: unknown key. Did you mean 'lives'? Known: kind, lives."]),
        ({"rooms": 1, "pet": {"lives": 1}}, ["pet.kind: required, but missing; expected one of cat, dog."]),
        (
            {"rooms": 1, "guests": [{"kind": "dog"}, {"kind": "cat", "lives": 0}, {"kind": "dog", "trick": {}}]},
            [
                "guests.1.lives: input should be greater than 0; found 0.",
                "guests.2.trick: unknown key. Did you mean 'tricks'? Known: kind, tricks.",
            ],
        ),
        ([], ["the home: input should be a valid dictionary or instance of Home; found []."]),
    ],
)
def test_a_problem_names_its_key_as_the_user_wrote_it_what_was_found_and_what_is_allowed(found, problems):
    with pytest.raises(ValidationError) as caught:
        Home.model_validate(found)
    assert problems_of(caught.value, Home, "the home") == problems
