"""Near duplicates: rows per second at two sizes (linear: the same), beside comparing all with all on a small part.

    python benchmarks/dedup.py                               # invented rows
    python benchmarks/dedup.py --rows hotpotqa_alpaca.json   # replicated rows of a file

Rows are copies of the base rows with one word in a hundred replaced, so that nearly all are near duplicates. Seconds
are CPU time of this process. The baseline compares each row of a part with all before it, exactly. `convert` makes the
sketches, which is nearly all of the work, on Ray Data (benchmarks/curation.py).
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import time
from collections.abc import Callable
from datetime import date

from fireact_ray.core.utils.markdown import markdown_table
from fireact_ray.data.formats.records import read_records
from fireact_ray.data.lint.similarity import jaccard, near_duplicates, shingles

_N_INVENTED, _N_WORDS = 734, 200  # as many as FireAct released, about as long
_N_BASELINE = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", help="a file that `fireact lint` reads; default: invented rows")
    parser.add_argument("--sizes", type=int, nargs="+", default=[20_000, 200_000])
    parser.add_argument("--threshold", type=float, default=0.8)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    base = _base(args.rows, random.Random(args.seed))
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    print(f"{date.today()}, {os.cpu_count()} CPUs, commit {commit}, {args}, {len(base)} base rows\n")
    table = []
    small = _replicated(base, _N_BASELINE, args.seed)
    table.append(_measured("all with all", small, lambda t: _all_with_all(t, args.threshold)))
    for size in args.sizes:
        texts = _replicated(base, size, args.seed)
        table.append(_measured("bands", texts, lambda t: near_duplicates(t, args.threshold)))
    print(markdown_table(["way", "rows", "near duplicates", "seconds", "rows/s"], table), end="")


def _base(path: str | None, rng: random.Random) -> list[str]:
    if path:
        return ["\n".join(turn.written for turn in record.turns) for record in read_records(path)]
    vocabulary = [f"w{i}" for i in range(20_000)]
    return [" ".join(rng.choices(vocabulary, k=_N_WORDS)) for _ in range(_N_INVENTED)]


def _replicated(base: list[str], size: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return [_perturbed(base[i % len(base)], rng) for i in range(size)]


def _perturbed(text: str, rng: random.Random) -> str:
    words = text.split()
    for _ in range(len(words) // 100 or 1):
        words[rng.randrange(len(words))] = f"x{rng.randrange(10**9)}"
    return " ".join(words)


def _all_with_all(texts: list[str], threshold: float) -> dict[int, int]:
    sets = [shingles(text) for text in texts]
    likes: dict[int, int] = {}
    kept: list[int] = []
    for place, found in enumerate(sets):
        like = next((other for other in kept if jaccard(sets[other], found) >= threshold), None)
        if like is None:
            kept.append(place)
        else:
            likes[place] = like
    return likes


def _measured(name: str, texts: list[str], find: Callable[[list[str]], dict[int, int]]) -> list[str]:
    start = time.process_time()
    found = find(texts)
    seconds = time.process_time() - start
    return [name, f"{len(texts)}", f"{len(found)}", f"{seconds:.2f}", f"{len(texts) / seconds:.0f}"]


if __name__ == "__main__":
    main()
