"""A recipe in, what its page offers out."""

from __future__ import annotations

import logging

from fireact_ray.core.errors import InputError
from fireact_ray.recipe.schema import Recipe
from fireact_ray.serving.page.offer import Offer, examples_of
from fireact_ray.tasks import load_questions

_LOOKED_AT = 100  # questions, for a few of several kinds

logger = logging.getLogger(__name__)


def offer_of(recipe: Recipe) -> Offer:
    """Examples are questions of evaluate.split. Where these cannot be read the page has none, and that is said: who
    only serves needs no file of questions."""
    try:
        questions = load_questions(recipe.task.name, recipe.task.path, recipe.evaluate.split, _LOOKED_AT)
    except InputError as error:
        logger.info("serve: the page proposes no questions. %s", error)
        return Offer(recipe.name)
    return Offer(recipe.name, examples_of(questions))
