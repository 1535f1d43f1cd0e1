"""Keys of a teacher and of a search, where much fails: they stand in no file, no output and no log of Ray's."""

import json
import shutil
import tempfile
from pathlib import Path

import pytest
import ray

from fireact_ray.demo.teacher.faults import FaultRates

from . import invariants
from .conftest import FULL
from .scene import Scene, scene

pytestmark = [pytest.mark.chaos, pytest.mark.ray]

TEACHER_KEY = "sk-proj-CANARY7f3a1c9e/4b2d+55"
SEARCH_KEY = "CANARYd41d8cd9/8f00+b204=e980"


def page(query: str) -> bytes:
    return json.dumps({"organic_results": [{"snippet": f"{query} is kept by the Warden of {query}."}]}).encode()


@pytest.fixture
def ray_dir():
    """Files of a Ray of its own. Not under tmp_path: the paths of its sockets may have 107 characters."""
    folder = tempfile.mkdtemp(prefix="fc")
    yield Path(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def search_key(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("keys") / "search.key"
    file.write_text(SEARCH_KEY)
    return file


def test_keys_of_environment_and_file_stand_nowhere_while_much_fails_for_a_while(chaos, tmp_path, ray_dir, search_key):
    faults = FaultRates(server_error=0.2, reset=0.1, seed=chaos.seed)
    with scene(tmp_path, chaos.seed, chaos.either(12, 100), workers=1, faults=faults, api_key=TEACHER_KEY) as made:
        made.library.answer = page
        made.library.status = lambda query: 500 if chaos.rng.random() < 0.3 else 200
        done = made.finish(
            "teacher.model.api_key_env=SOME_API_KEY",
            *searching(made, search_key),
            SOME_API_KEY=TEACHER_KEY,
            RAY_ADDRESS="",  # a Ray of its own, whose files are all looked at
            RAY_TMPDIR=str(ray_dir),
            FIREACT_CACHE=str(tmp_path / "cache"),
        )
        assert made.library.keys == {SEARCH_KEY}
        assert "refuse" not in done.said
        said_nowhere(done.said, tmp_path, ray_dir)


@pytest.mark.parametrize("refusing", ["teacher", *(["search"] if FULL else [])])
def test_keys_stand_nowhere_when_one_is_refused(refusing, chaos, tmp_path, local_ray, search_key):
    expected_key = "another" if refusing == "teacher" else TEACHER_KEY
    (key_file := search_key.with_name("teacher.key")).write_text(TEACHER_KEY)
    with scene(tmp_path, chaos.seed, 12, workers=1, api_key=expected_key) as made:
        made.library.status = lambda query: 401 if refusing == "search" else 200
        teacher_key = f"teacher.model.api_key_file={key_file}"
        done = made.finish(teacher_key, *searching(made, search_key), code=1, FIREACT_CACHE=str(tmp_path / "cache"))
        assert "refuse" in done.said
        said_nowhere(done.said, tmp_path, Path(ray._private.worker.global_worker.node.get_session_dir_path()))


def test_a_key_that_the_workers_do_not_have_is_missed_in_one_sentence(chaos, tmp_path, local_ray):
    with scene(tmp_path, chaos.seed, 12, workers=1) as made:
        done = made.finish("teacher.model.api_key_env=SOME_API_KEY", code=2, SOME_API_KEY=TEACHER_KEY)
        assert "from the environment variable SOME_API_KEY, which is not set" in done.said.rstrip().splitlines()[-1]
        assert "RolloutWorker" not in done.said


def searching(made: Scene, key_file: Path) -> list[str]:
    where = f"base_url: '{made.library.url}', api_key_file: {key_file}, max_attempts: 2"
    return [f"search.backend={{kind: serpapi, {where}}}", "search.cache.enabled=true"]


def said_nowhere(said: str, *folders: Path) -> None:
    """`folders`: of the run, and of Ray."""
    assert list(folders[-1].rglob("*.log")), "Ray's logs are somewhere else"
    for secret in (TEACHER_KEY, SEARCH_KEY):
        invariants.no_secret(secret, folders)
        assert secret not in said
    assert "Traceback" not in said
