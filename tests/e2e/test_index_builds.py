"""Long builds of the local index repeat, killed ones are begun anew, two at once do no harm."""

import signal
import subprocess
import sys

import pytest

from fireact_ray.agent.tools.index import IndexBackend, build_index, write_index
from fireact_ray.core.types import Hit

pytestmark = pytest.mark.e2e

BUILD = """
import sys
from pathlib import Path
from fireact_ray.core.types import Hit
from fireact_ray.agent.tools.index import build_index

def passages():
    for i in range(int(sys.argv[2])):
        yield Hit(str(i), "a lake")
    print("read", flush=True)
    sys.stdin.readline()

build_index(passages(), Path(sys.argv[1]), "lakes")
"""


def test_equal_scores_come_in_the_corpus_order_however_often_it_is_built(tmp_path):
    # Ten segments, of which tantivy merges eight on a thread of its own.
    passages = [Hit(f"{i}", "the same words") for i in range(105_000)]
    found = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        write_index(passages, tmp_path / name, passages_per_segment=10_500)
        index = IndexBackend(tmp_path / name, name)
        assert [hit.title for hit in index.search_now("same words", 100_000)] == [f"{i}" for i in range(100_000)]
        found.append([index.search_now(query, 50) for query in ("same", "99999 words", "104999 the same", "31 7 same")])
    assert found[0] == found[1]


def start_build(cache_dir):
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", BUILD, str(cache_dir), "2000"], stdin=pipe, stdout=pipe)
    assert process.stdout.readline() == b"read\n"
    return process


def test_a_killed_build_is_begun_anew(tmp_path):
    process = start_build(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert [hit.title for hit in build_index([Hit("Orr", "a lake")], tmp_path, "lakes").search_now("lake", 5)] == [
        "Orr"
    ]


def test_two_processes_may_build_the_same_index_at_once(tmp_path):
    processes = [start_build(tmp_path) for _ in range(2)]
    for process in processes:
        process.communicate(b"go on\n")
    assert [process.returncode for process in processes] == [0, 0]
    assert len(build_index([], tmp_path, "lakes").search_now("lake", 3000)) == 2000
    assert len(list(tmp_path.iterdir())) == 1
