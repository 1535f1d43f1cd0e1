import random

import pytest

from fireact_ray.curation.similarity import near_duplicates
from fireact_ray.recipe import RayConfig
from fireact_ray.stages import neighbours
from fireact_ray.stages.neighbours import near_duplicates_on_ray, near_finder

pytestmark = pytest.mark.ray


def texts(n: int) -> list[str]:
    """Perturbed copies of twenty texts, and an empty one."""
    rng = random.Random(0)
    bases = [[f"w{rng.randrange(500)}" for _ in range(60)] for _ in range(20)]
    made = [""]
    for _ in range(n - 1):
        words = list(rng.choice(bases))
        for place in rng.sample(range(60), rng.randrange(4)):
            words[place] = f"x{rng.randrange(10**6)}"
        made.append(" ".join(words))
    return made


def test_the_near_duplicates_through_ray_equal_those_of_a_loop_over_many_blocks(local_ray):
    many = texts(2 * neighbours.TEXTS_PER_BLOCK + 1)
    found = near_duplicates_on_ray(many, 0.8)
    assert found == near_duplicates(many, 0.8)
    assert len(found) == 6194


def test_few_texts_are_compared_in_this_process():
    few = texts(50)
    assert near_finder(RayConfig(address="ray://nowhere:1"))(few, 0.8) == near_duplicates(few, 0.8)
