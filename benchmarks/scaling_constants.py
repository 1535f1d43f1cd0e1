"""What benchmarks.scaling reckons with: each number with where it stands, or why it is assumed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any

_RESULTS = "docs/results.md"
_WEIGHED = "python -m benchmarks.scaling_sizes --rollouts 2000"
_COUNTED = "requests of core/storage to an S3 server on loopback (moto), 2026-11-27"


class Kind(StrEnum):
    MEASURED = "measured"  # `words` stand in the file, or it is what the command printed
    CODE = "code"  # a setting: `words` stand in the file
    DOCUMENTED = "documented"  # by those who run or make it; not tried by us
    ASSUMED = "assumed"


@dataclass(frozen=True, slots=True)
class Source:
    """`place`: a file of the project, a command, or whose word it is. `words`: those of the file, or the reason."""

    name: str
    value: float
    kind: Kind
    place: str
    words: str


def _of(kind: Kind, value: float, place: str, words: str = "") -> Any:
    return field(default=value, metadata={"kind": kind, "place": place, "words": words})


def _measured(value: float, words: str, place: str = _RESULTS) -> Any:
    return _of(Kind.MEASURED, value, place, words)


def _weighed(value: float) -> Any:
    return _of(Kind.MEASURED, value, _WEIGHED)


def _counted(value: float) -> Any:
    return _of(Kind.MEASURED, value, _COUNTED)


def _code(value: float, place: str, words: str) -> Any:
    return _of(Kind.CODE, value, place, words)


def _documented(value: float, place: str, words: str = "") -> Any:
    return _of(Kind.DOCUMENTED, value, place, words)


def _assumed(value: float, words: str) -> Any:
    return _of(Kind.ASSUMED, value, "", words)


@dataclass(frozen=True)
class Constants:
    """Seconds, bytes, $ and tokens; `_cpu_s`: of one core."""

    # A rollout: those of the null teacher, whose steps are distributed as in FireAct's files.
    calls: float = _code(
        3.375, "benchmarks/null_teacher.py", "_STEP_WEIGHTS = (2, 30, 34, 17, 8, 4, 2, 1, 1, 0.5, 0.5)"
    )
    prompt_tokens: float = _code(4030, "benchmarks/null_teacher.py", "usage=Usage(1100 + 60 * step, 50)")
    completion_tokens: float = _code(169, "benchmarks/null_teacher.py", "usage=Usage(1100 + 60 * step, 50)")
    call_s: float = _code(2.39, "benchmarks/null_teacher.py", "_MEDIAN_S, _SIGMA = 2.0, 0.6")
    # What it costs us.
    rollout_cpu_s: float = _measured(11.6e-3, "| the same at 22 rollouts/s (waking up costs) | 11.6 ms")
    worker_cpu_s: float = _measured(2.15e-3, "rollout worker / search / quota / dispatcher | 2.15 / 0.27 / 0.24 / 0.16")
    quota_cpu_s: float = _measured(0.24e-3, "rollout worker / search / quota / dispatcher | 2.15 / 0.27 / 0.24 / 0.16")
    dispatch_cpu_s: float = _measured(0.16e-3, "search / quota / dispatcher | 2.15 / 0.27 / 0.24 / 0.16 ms")
    ray_call_cpu_s: float = _measured(0.55e-3, "| search, caller's CPU at 100 in flight: Ray calls / ours | 0.55 /")
    queries_per_s: float = _measured(493, "| through our interface, one core | 493 queries/s")  # 5 million passages
    resume_s: float = _measured(41.3e-6, "| 1,000,000 | 0.868 | 1.0000 | 249 / 303 / 337 / 276 / 383 | 41.3 |")
    resume_bytes: float = _measured(35, "| 100,000 | 0.891 | 1.0000 | 243 / 288 / 307 / 295 / 308 |")  # 307 -> 337 MB
    audit_bytes: float = _measured(87, "| 100,000 | 0.891 | 1.0000 | 243 / 288 / 307 / 295 / 308 |")  # 308 -> 383 MB
    part_bytes: float = _weighed(454)
    journal_bytes: float = _weighed(2005)
    question_bytes: float = _weighed(217)
    paid_bytes: float = _weighed(6296)
    row_bytes: float = _weighed(3968)
    # Requests to a bucket: one for each pass. A resume passes over a part six times, over a journal thrice; a
    # compaction reads the keys of a part, then its rows.
    part_reads: float = _counted(6)
    compaction_reads: float = _counted(2)
    journal_reads: float = _counted(3)
    merged_segments: float = _counted(100)  # writes of a journal that become one object
    # Later stages.
    convert_cpu_s: float = _measured(
        284e-6, "|     138 |   7022 |                0.80 |    142 |      2397 |"
    )  # two cores
    convert_bytes: float = _measured(
        2480, "|   29.99 |   6451 |                0.73 |    155 |       567 |"
    )  # 567 -> 2397
    row_tokens: float = _measured(415, "96 of FireAct's released rows (39,866 tokens")
    train_tokens_per_s: float = _measured(
        19_555, "| Llama-2-7B LoRA | one line, 8192 a pass | liger | 35,614 | 1.821 |"
    )
    copy_bytes_per_token: float = _measured(5, "5 bytes a token", "docs/architecture.md")
    score_rows_per_s: float = _measured(19_283, "19,283 rows/s, 358 MiB of memory at most")
    # Settings.
    part_rows: float = _code(2000, "fireact_ray/rollouts/writer.py", "PART_ROWS, PART_AGE_S = 2000, 30.0")
    part_age_s: float = _code(30, "fireact_ray/rollouts/writer.py", "PART_ROWS, PART_AGE_S = 2000, 30.0")
    compacted_bytes: float = _code(128e6, "fireact_ray/core/storage/compaction.py", "MAX_PART_BYTES = 128_000_000")
    reads_at_once: float = _code(16, "fireact_ray/core/storage/folder_files.py", "_READS_AT_ONCE = 16")
    group_rows: float = _code(5000, "fireact_ray/core/storage/trajectories.py", "ROWS_PER_GROUP = 5_000")
    task_groups: float = _code(20, "fireact_ray/stages/convert_blocks.py", "_GROUPS_PER_TASK = 20")
    workers: float = _code(4, "fireact_ray/recipe/shipped/hotpotqa.yaml", "workers: 4, concurrency: 128")
    prompt_usd: float = _code(2e-6, "fireact_ray/agent/quota/prices.yaml", "gpt-4.1: {prompt: 2.00, completion: 8.00}")
    completion_usd: float = _code(
        8e-6, "fireact_ray/agent/quota/prices.yaml", "gpt-4.1: {prompt: 2.00, completion: 8.00}"
    )
    # The world outside.
    requests_per_minute: float = _assumed(10_000, "a large account of a paid API")
    tokens_per_minute: float = _assumed(30e6, "the same")
    gpus: float = _assumed(64, "of an open teacher that we serve ourselves")
    gpu_tokens_per_s: float = _assumed(500, "generated, a GPU, a model of 70B, prompts found in its prefix cache")
    gpu_usd_per_h: float = _assumed(3, "rented H100 or H200")
    cpu_usd_per_h: float = _assumed(0.05, "rented core")
    request_s: float = _assumed(0.05, "a small object written, read or looked up")
    put_usd: float = _documented(5e-6, "S3's list price, one write")
    month_usd_per_byte: float = _documented(0.023e-9, "S3's list price, a byte")
    puts_per_s: float = _documented(3500, "S3, of one prefix")
    ray_actors: float = _documented(10_000, "Ray's release benchmarks, of one cluster")
    block_bytes: float = _assumed(15e3, "that Ray Data's driver keeps of each block (Ray's issue 66016)")
    open_s: float = _assumed(1e-3, "a Parquet footer on a local disk")
    decoded_rows_per_s: float = _assumed(100_000, "trajectories read from Parquet by one core")
    failed_share: float = _assumed(0.01, "rows that failed from outside and are tried again")
    memory_bytes: float = _assumed(32e9, "what the driver's machine has")
    disk_bytes: float = _assumed(2e12, "what a training machine has")


def sources(constants: Constants) -> Iterator[Source]:
    for one in fields(constants):
        about = one.metadata
        yield Source(one.name, getattr(constants, one.name), about["kind"], about["place"], about["words"])


def changed(constants: Constants, given: list[str]) -> Constants:
    """With NAME=VALUE for each of `given`. Raises ValueError for another form and TypeError for an unknown name."""
    values = dict(pair.split("=", 1) for pair in given)
    return replace(constants, **{name: float(value) for name, value in values.items()})
