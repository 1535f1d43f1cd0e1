"""Keys of a teacher and of a search, where much fails: they stand in no file, no output and no log of Ray's."""

import json
from pathlib import Path

import pytest
import ray

from fireact_ray.demo.teacher.faults import FaultRates

from . import invariants
from .conftest import FULL
from .scene import scene

pytestmark = [pytest.mark.chaos, pytest.mark.ray]

TEACHER_KEY = "sk-proj-CANARY7f3a1c9e/4b2d+55"
SEARCH_KEY = "CANARYd41d8cd9/8f00+b204=e980"


def page(query: str) -> bytes:
    return json.dumps({"organic_results": [{"snippet": f"{query} is kept by the Warden of {query}."}]}).encode()


def ray_logs() -> Path:
    """All that the tests' Ray writes; the commands join it."""
    return Path(ray._private.worker.global_worker.node.get_session_dir_path())


FAILING = ["for a while", "teacher refuses the key", *(["search refuses the key"] if FULL else [])]


@pytest.mark.parametrize("failing", FAILING)
def test_keys_stand_nowhere_whatever_fails(failing, chaos, tmp_path, local_ray, tmp_path_factory):
    faults = FaultRates(server_error=0.2, reset=0.1, seed=chaos.seed)
    expected_key = TEACHER_KEY if failing != "teacher refuses the key" else "another"
    with scene(tmp_path, chaos.seed, chaos.either(12, 100), workers=1, faults=faults, api_key=expected_key) as made:
        key_file = tmp_path_factory.mktemp("keys") / "search.key"
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
                FIREACT_CACHE=str(tmp_path / "cache"),
            )
        finally:
            key_file.unlink()
        assert made.library.keys <= {SEARCH_KEY}
        assert made.library.keys or failing == "teacher refuses the key"
        assert list(ray_logs().rglob("*.log")), "Ray's logs are somewhere else"
        for secret in (TEACHER_KEY, SEARCH_KEY):
            invariants.no_secret(secret, [tmp_path, ray_logs()])
        assert "Traceback" not in done.said
        assert ("refuse" in done.said) == (failing != "for a while")
