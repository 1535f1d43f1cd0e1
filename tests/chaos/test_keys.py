"""Keys of a teacher and of a search, where much fails: they stand in no file, no output and no log of Ray's."""

import json
import shutil
import tempfile
from pathlib import Path

import pytest

from fireact_ray.demo.teacher.faults import FaultRates

from . import invariants
from .conftest import FULL
from .scene import scene

pytestmark = [pytest.mark.chaos, pytest.mark.ray]

TEACHER_KEY = "sk-proj-CANARY7f3a1c9e/4b2d+55"
SEARCH_KEY = "CANARYd41d8cd9/8f00+b204=e980"


def page(query: str) -> bytes:
    return json.dumps({"organic_results": [{"snippet": f"{query} is kept by the Warden of {query}."}]}).encode()


@pytest.fixture
def ray_dir():
    """Ray's own files. Not under tmp_path: the paths of its sockets may have 107 characters."""
    folder = tempfile.mkdtemp(prefix="fc")
    yield Path(folder)
    shutil.rmtree(folder, ignore_errors=True)


FAILING = ["for a while", "teacher refuses the key", *(["search refuses the key"] if FULL else [])]


@pytest.mark.parametrize("failing", FAILING)
def test_keys_stand_nowhere_whatever_fails(failing, chaos, tmp_path, ray_dir):
    faults = FaultRates(server_error=0.2, reset=0.1, seed=chaos.seed)
    expected_key = TEACHER_KEY if failing != "teacher refuses the key" else "another"
    with scene(tmp_path, chaos.seed, chaos.either(12, 100), workers=1, faults=faults, api_key=expected_key) as made:
        key_file = ray_dir.with_suffix(".key")
        key_file.write_text(SEARCH_KEY)
        made.library.answer = page
        if failing == "search refuses the key":
            made.library.status = lambda query: 401
        else:
            made.library.status = lambda query: 500 if chaos.rng.random() < 0.3 else 200
        where = f"base_url: '{made.library.url}', api_key_file: {key_file}, max_attempts: 2"
        try:
            done = made.finish(
                "teacher.model.api_key_env=SOME_API_KEY",
                f"search.backend={{kind: serpapi, {where}}}",
                "search.cache.enabled=true",
                code=0 if failing == "for a while" else 1,
                SOME_API_KEY=TEACHER_KEY,
                RAY_ADDRESS="",  # a Ray of its own, whose files are all looked at
                RAY_TMPDIR=str(ray_dir),
                FIREACT_CACHE=str(tmp_path / "cache"),
            )
        finally:
            key_file.unlink()
        assert made.library.keys <= {SEARCH_KEY}
        assert made.library.keys or failing == "teacher refuses the key"
        assert list(ray_dir.rglob("*.log")), "Ray's logs are somewhere else"
        for secret in (TEACHER_KEY, SEARCH_KEY):
            invariants.no_secret(secret, [tmp_path, ray_dir])
        assert "Traceback" not in done.said
        assert ("refuse" in done.said) == (failing != "for a while")
