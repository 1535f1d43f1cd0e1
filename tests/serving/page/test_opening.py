"""What the page of a recipe proposes."""

import logging

from fireact_ray.recipe.schema import Recipe
from fireact_ray.serving.page.offer import Offer
from fireact_ray.serving.page.opening import offer_of


def test_the_questions_of_a_recipe_are_proposed_by_their_kinds():
    offer = offer_of(Recipe(name="demo"))
    assert offer.title == "demo"
    assert len({example.kind for example in offer.examples}) == 3


def test_who_only_serves_needs_no_questions_and_is_told(caplog):
    caplog.set_level(logging.INFO)
    assert offer_of(Recipe(name="far", task={"name": "hotpotqa", "path": "nowhere.json"})) == Offer("far")
    assert "the page proposes no questions" in caplog.text
    assert "nowhere.json" in caplog.text
