"""Paths and environment that all tests share."""

import gc
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes, or its making, says nothing about it. `make test` tries the same examples each time, on any
# machine; `make chaos` tries others each time.
_PATIENT = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("patient", derandomize=True, max_examples=20, **_PATIENT)
settings.register_profile("fast", derandomize=True, max_examples=10, **_PATIENT)
settings.register_profile("full", max_examples=300, **_PATIENT)
settings.load_profile(os.environ.get("FIREACT_HYPOTHESIS", "patient"))
sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the processes of a test share the cores already
if "FIREACT_CACHE" not in os.environ:  # what tests keep on this machine's disk goes with them
    _cache = tempfile.TemporaryDirectory(prefix="fireact-tests-")
    os.environ["FIREACT_CACHE"] = _cache.name
# Of the hundreds of processes that tests start, the first compiles the package, and not each.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
os.environ["HF_HUB_OFFLINE"] = "1"  # no test may reach the network
# What Ray counts for its dashboard and autoscaler takes a tenth of two cores, and no test looks at it.
for _counted_every in ("AUTOSCALER_UPDATE_INTERVAL_S", "NODE_STATS_UPDATE_INTERVAL_SECONDS"):
    os.environ.setdefault(_counted_every, "60")
os.environ.setdefault("REPORTER_UPDATE_INTERVAL_MS", "60000")

_started = str(Path(__file__).parent / "started")  # holds what Python runs first in each process, by PYTHONPATH
if _started not in (_paths := os.environ.get("PYTHONPATH", "").split(os.pathsep)):
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (_started, *_paths)))

LOGICAL_CPUS = 4  # more than the machine may have: what waits for a slot here would only test the scheduler

_MARKED_FILE = re.compile(r"^pytestmark = .*", re.MULTILINE)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not import a file all of whose tests are deselected: that takes longer than the fast tests do.

    `-m` is read where it is "not a and not b", of the marks of a whole file, or "a or b".
    """
    expression = config.option.markexpr
    if not expression or collection_path.suffix != ".py" or collection_path.name == "conftest.py":
        return None
    code = collection_path.read_text(encoding="utf-8")
    if "not " in expression:
        marked = _MARKED_FILE.search(code)
        left_out = re.findall(r"not (\w+)", expression)
        return True if marked and any(f"mark.{name}" in marked.group() for name in left_out) else None
    return None if any(f"mark.{name}" in code for name in re.split(r" or ", expression)) else True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first, so that the processes end together."""
    items.sort(key=lambda item: ("e2e" not in item.keywords, "torch" not in item.keywords))


def pytest_collection_finish() -> None:
    """Modules and tests stay to the end: no collection of garbage looks through them again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, *gc.get_threshold()[1:])


@pytest.fixture(scope="session", autouse=True)
def interrupts_are_heeded():
    """By what is started here, too, where a shell has started the tests in the background and has Ctrl-C ignored."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def local_ray():
    """One Ray for the whole session, to which commands in processes of their own connect as well: by RAY_ADDRESS."""
    from fireact_ray.recipe.schema import RayConfig
    from fireact_ray.stages.ray_session import ray_session

    with ray_session(RayConfig(num_cpus=LOGICAL_CPUS)):
        import ray

        # It looks through all logs ten times a second, for drivers that want to show them. None does.
        ray._private.worker._global_node.kill_log_monitor(check_alive=False)
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("RAY_ADDRESS", ray.get_runtime_context().gcs_address)
            yield


@pytest.fixture
def small_disk(tmp_path):
    """A filesystem of 2 MB of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"a small filesystem can be mounted by root only: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)
