"""How hard, and with what luck: FIREACT_CHAOS=full for the full counts, FIREACT_CHAOS_SEED=n for the same chances."""

import os
import random
import time
from dataclasses import dataclass, field

import pytest

FULL = os.environ.get("FIREACT_CHAOS") == "full"


@dataclass
class Chaos:
    """A test's chances and counts. `note` says what was seen: shown by `make chaos`, or where a test fails."""

    seed: int
    rng: random.Random = field(repr=False)

    def either(self, short, full):
        return full if FULL else short

    def note(self, text: str) -> None:
        print(f"seed {self.seed}: {text}")


@pytest.fixture
def chaos(request):
    default = time.time_ns() % 1_000_000 if FULL else 0
    seed = int(os.environ.get("FIREACT_CHAOS_SEED", default))
    made = Chaos(seed, random.Random(f"{seed} {request.node.name}"))
    made.note(f"FIREACT_CHAOS_SEED={seed} repeats {request.node.name}")
    return made


def pytest_collection_modifyitems(items):
    for item in items:
        if FULL and "chaos" in item.keywords:
            item.add_marker(pytest.mark.timeout(3600))
