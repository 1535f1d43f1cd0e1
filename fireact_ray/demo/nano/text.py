"""Invent the text that the nano base model is made from: `python -m fireact_ray.demo.nano.text --out DIR`.

No input but a seed. The folder holds the tokenizer, trained on other text of the same kind, and shards of a million
tokens each; a shard depends on the seed and its number alone, so that any number of processes writes the same ones.
A folder with some shards missing is completed.
"""

from __future__ import annotations

import argparse
import itertools
import logging
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import numpy as np
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from fireact_ray.demo.nano import stream
from fireact_ray.demo.nano.tokenizer import train_tokenizer

log = logging.getLogger(__name__)

ROWS, LENGTH = 1024, 1024  # of a shard
_TOKENIZER_TEXTS = 8000


def write_text(out: Path, n_shards: int, seed: int, workers: int, rows: int = ROWS) -> None:
    """Shards 0 to `n_shards` - 1 of `seed`, of `rows` rows each, those that are not there yet."""
    if not (out / "tokenizer.json").exists():
        texts = itertools.islice(stream.texts(f"{seed} tokenizer"), _TOKENIZER_TEXTS)
        train_tokenizer(texts).save_pretrained(out)
    missing = [n for n in range(n_shards) if not _shard(out, n).exists()]
    log.info("%d shards are there, %d are missing", n_shards - len(missing), len(missing))
    with ProcessPoolExecutor(workers) as pool:
        for done in as_completed([pool.submit(_write_shard, out, n, seed, rows) for n in missing]):
            log.info("wrote %s", done.result())


def read_shards(out: Path) -> tuple[stream.IdArray, stream.WeightArray]:
    """Ids and weights (percent) of all shards, in the order of their numbers, both (rows, LENGTH)."""
    files = sorted(out.glob("shard-*.npz"))
    if not files:
        raise FileNotFoundError(f"{out}: no shards there. Run python -m fireact_ray.demo.nano.text --out {out} first.")
    shards: Sequence[np.lib.npyio.NpzFile] = [np.load(file) for file in files]
    return np.concatenate([s["ids"] for s in shards]), np.concatenate([s["weights"] for s in shards])


def open_tokenizer(out: Path) -> PreTrainedTokenizerFast:
    tokenizer: PreTrainedTokenizerFast = AutoTokenizer.from_pretrained(out)
    return tokenizer


def _write_shard(out: Path, n: int, seed: int, rows: int) -> str:
    ids, weights = stream.Encoder(open_tokenizer(out)).rows(f"{seed} {n}", rows, LENGTH)
    unfinished = out / f".shard-{n:04}.npz"
    np.savez(unfinished, ids=ids, weights=weights)
    return unfinished.replace(_shard(out, n)).name


def _shard(out: Path, n: int) -> Path:
    return out / f"shard-{n:04}.npz"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--shards", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    write_text(args.out, args.shards, args.seed, args.workers)


if __name__ == "__main__":
    main()
