"""Local search over a synthetic corpus: queries per second beside the bare engine, build rate, opening, memory.

    python benchmarks/search.py                                          # 100,000 passages, under a minute
    python benchmarks/search.py --passages 5000000 --dir /a/large/disk   # about 7 GB and 8 minutes

The corpus: passages of 30-90 words under titles of 1-3 words, all drawn independently from 200,000 invented words
where the word of rank r has probability ~ 1/r (the first is in nearly every passage). A query is seven different words
of one passage, in any order. All is seeded. The rival is tantivy-py alone on the same index, with parse_query, search
and the same fields fetched; the two take turns.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import multiprocessing
import os
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tantivy

from fireact_ray.agent.tools.corpus import corpus_key, read_corpus
from fireact_ray.agent.tools.index import IndexBackend, build_index
from fireact_ray.core.types import Hit

K = 5
_VOCABULARY = 200_000
_QUERY_WORDS = 7
_CHUNK = 10_000
_ROUNDS = 5
_MIB = 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--round-s", type=float, default=1.5, help="how long each side runs in a round")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dir", type=Path, help="where the corpus and the index go for the time of the run")
    args = parser.parse_args()
    print(
        f"{datetime.date.today()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}, commit {_commit()}, {args}\n"
    )
    if args.dir:
        args.dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=args.dir) as folder:
        path = Path(folder) / "corpus.jsonl"
        queries = write_corpus(path, args.passages, args.queries, args.seed)
        print("| what | figure |\n|---|---|")
        built = _in_child(_build, path, Path(folder) / "first")
        report("passages, corpus file", f"{args.passages:,}, {path.stat().st_size / 1e9:.2f} GB")
        report("build", f"{args.passages / built.seconds:,.0f} passages/s ({built.seconds:.0f} s)")
        report("peak memory of the building process", f"{built.peak_mib:.0f} MiB")
        report("index on disk", f"{_size(Path(folder) / 'first') / 1e9:.2f} GB")
        backend = measure_opening(path, Path(folder) / "first")
        measure_rate(backend, _index_dir(Path(folder) / "first"), queries, args.round_s)
        for query in queries:  # what the worker reads is then in use by this process too, hence shared
            backend.search_now(query, K)
        used = _in_child(_worker, _index_dir(Path(folder) / "first"), queries)
        report("memory of one more worker (USS, PSS)", f"+{used['uss']:.1f} MiB, +{used['pss']:.1f} MiB")
        if args.passages <= 200_000:
            _in_child(_build, path, Path(folder) / "second")
            again = IndexBackend(_index_dir(Path(folder) / "second"), "")
            same = all(backend.search_now(query, K) == again.search_now(query, K) for query in queries)
            report("hits of a second build, scores included", "identical" if same else "DIFFERENT")


def write_corpus(path: Path, n_passages: int, n_queries: int, seed: int) -> list[str]:
    """The corpus as JSONL; gives back the queries."""
    rng = random.Random(seed)
    every = max(1, n_passages // n_queries)
    queries = []
    with path.open("w", encoding="utf-8") as file:
        for n, passage in enumerate(passages(n_passages, seed)):
            file.write(json.dumps({"title": passage.title, "text": passage.text}) + "\n")
            if n % every == 0 and len(queries) < n_queries:
                queries.append(" ".join(rng.sample(sorted(set(passage.text.split())), _QUERY_WORDS)))
    settled = time.time() - 60  # a digest is remembered of a file that has been left alone for a while
    os.utime(path, (settled, settled))
    return queries


def passages(n: int, seed: int) -> Iterator[Hit]:
    words = np.array(vocabulary(seed), dtype=object)
    cumulated = np.cumsum(1 / np.arange(1, _VOCABULARY + 1))
    rng = np.random.default_rng(seed)
    for done in range(0, n, _CHUNK):
        lengths = rng.integers((1, 30), (4, 91), size=(min(_CHUNK, n - done), 2))
        ranks = np.searchsorted(cumulated, rng.random(lengths.sum()) * cumulated[-1])
        drawn, at = words[ranks].tolist(), 0
        for in_title, in_text in lengths.tolist():
            end = at + in_title + in_text
            yield Hit(" ".join(drawn[at : at + in_title]), " ".join(drawn[at + in_title : end]))
            at = end


def vocabulary(seed: int) -> list[str]:
    """Pronounceable words, frequent ones short."""
    rng = random.Random(seed)
    syllables = [consonant + vowel for consonant in "bdfghklmnprstvwz" for vowel in "aeiou"]
    words: dict[str, None] = {}
    while len(words) < _VOCABULARY:
        n = 1 + (len(words) > 60) + (len(words) > 3000) + (rng.random() < 0.3)
        words["".join(rng.choices(syllables, k=n)) + rng.choice(("", "n", "s", "r", "ing", "ed", "l"))] = None
    return list(words)


def measure_opening(path: Path, cache_dir: Path) -> IndexBackend:
    started = time.perf_counter()
    backend = build_index(read_corpus(path), cache_dir, corpus_key(path, cache_dir))
    report("opening it again", f"{time.perf_counter() - started:.3f} s")
    return backend


def measure_rate(backend: IndexBackend, index_dir: Path, queries: list[str], round_s: float) -> None:
    index = tantivy.Index.open(str(index_dir))
    searcher = index.searcher()

    def bare(query: str) -> list[Hit]:
        parsed = index.parse_query(query, ["words"])
        found = searcher.search(parsed, K, count=False).hits
        docs = ((searcher.doc(address), score) for score, address in found)
        return [Hit(d.get_first("title").decode(), d.get_first("text").decode(), score) for d, score in docs]

    async def ours(seconds: float) -> Timed:
        return await _timed(lambda query: backend.search(query, K), queries, seconds)

    async def theirs(seconds: float) -> Timed:
        async def search(query: str) -> list[Hit]:
            return bare(query)

        return await _timed(search, queries, seconds)

    async def rounds() -> list[tuple[Timed, Timed]]:
        await ours(round_s), await theirs(round_s)  # warm both
        return [(await ours(round_s), await theirs(round_s)) for _ in range(_ROUNDS)]

    pairs = asyncio.run(rounds())
    report("segments", str(searcher.num_segments))
    for name, sides in (("through IndexBackend", [a for a, _ in pairs]), ("bare tantivy-py", [b for _, b in pairs])):
        latencies = np.concatenate([side.latencies for side in sides]) * 1000
        wall, cpu = (statistics.median(x) for x in ([s.per_s for s in sides], [s.per_cpu_s for s in sides]))
        p50, p99 = np.percentile(latencies, (50, 99))
        report(name, f"{wall:,.0f} queries/s ({cpu:,.0f} per CPU second), p50 {p50:.2f} ms, p99 {p99:.2f} ms")
    ratios = [a.per_cpu_s / b.per_cpu_s for a, b in pairs]
    report(
        "ratio of CPU rates, median [least, most]",
        f"{statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]",
    )
    exact = [({h.text for h in backend.search_now(q, K)}, {h.text for h in bare(q)}) for q in queries[:200]]
    shared = sum(len(a & b) for a, b in exact) / sum(len(b) for _, b in exact)
    report(f"share of BM25's exact top {K} that is found", f"{shared:.3f}")


@dataclass(frozen=True)
class Timed:
    latencies: np.ndarray  # seconds
    per_s: float
    per_cpu_s: float


async def _timed(search: Callable, queries: list[str], seconds: float) -> Timed:
    latencies: list[float] = []
    cpu, started = time.thread_time(), time.perf_counter()
    now = started
    while now - started < seconds:
        await search(queries[len(latencies) % len(queries)])
        before, now = now, time.perf_counter()
        latencies.append(now - before)
    n = len(latencies)
    return Timed(np.array(latencies), n / (now - started), n / (time.thread_time() - cpu))


@dataclass(frozen=True)
class Built:
    seconds: float
    peak_mib: float


def _build(path: Path, cache_dir: Path) -> Built:
    key = corpus_key(path, cache_dir)
    started = time.perf_counter()
    build_index(read_corpus(path), cache_dir, key)
    seconds = time.perf_counter() - started
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return Built(seconds, int(peak.split()[1]) / 1024)


def _worker(index_dir: Path, queries: list[str]) -> dict[str, float]:
    """What a process grows by when it opens the index, which its parent has open, and answers all queries."""
    before = _memory()
    backend = IndexBackend(index_dir, "")
    for query in queries:
        backend.search_now(query, K)
    return {name: (size - before[name]) / _MIB for name, size in _memory().items()}


def _memory() -> dict[str, int]:
    lines = (line.split() for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:])
    sizes = {name: int(kib) * 1024 for name, kib, _ in lines}
    return {"uss": sizes["Private_Clean:"] + sizes["Private_Dirty:"], "pss": sizes["Pss:"]}


def _in_child(function: Callable, *args: object) -> Any:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, args)


def _index_dir(cache_dir: Path) -> Path:
    return next(cache_dir.glob("index-*"))


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _commit() -> str:
    return subprocess.run(("git", "rev-parse", "--short", "HEAD"), capture_output=True, text=True).stdout.strip()


def report(what: str, figure: str) -> None:
    print(f"| {what} | {figure} |", flush=True)


if __name__ == "__main__":
    main()
