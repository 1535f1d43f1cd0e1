"""What 10^6 to 10^9 trajectories take, by stage, and what stops working first: reckoned, not run.

    python -m benchmarks.scaling
    python -m benchmarks.scaling --set requests_per_minute=30000 --set gpus=8
    python -m benchmarks.scaling --constants

benchmarks.scaling_model has the functions, benchmarks.scaling_constants the numbers. docs/scaling.md shows the tables;
tests/benchmarks/test_scaling.py holds it to them, and the constants to the places that they were taken from.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.header import print_table
from benchmarks.scaling_constants import Constants, Kind, changed, sources
from benchmarks.scaling_model import Cost, Model, largest

SIZES = (10**6, 10**7, 10**8, 10**9)


def figure(value: float) -> str:
    """Two digits that count."""
    if value <= 0:
        return "0"
    digits = 1 - math.floor(math.log10(value))
    return f"{round(value, digits):,.{max(0, digits)}f}"


def power(value: float) -> str:
    """As 1.3 x 10^8."""
    digits, exponent = f"{value:.1e}".split("e")
    return f"{digits} x 10^{int(exponent)}"


def curves(m: Model) -> Iterator[list[str]]:
    """By quantity, at each of SIZES."""
    rows: list[tuple[str, Cost, float]] = [
        ("teacher over the API: days", m.api_days, 1),
        ("the same: $ at gpt-4.1's list price", m.api_usd, 1),
        ("teacher on our GPUs: days", m.own_days, 1),
        ("the same: $", m.own_usd, 1),
        ("our own CPU in generation: core-hours", m.cpu_hours, 1),
        ("the same: $", m.cpu_usd, 1),
        ("parts before compaction", m.parts, 1),
        ("parts after it", m.compacted, 1),
        ("journals and parts: GB", m.stored_bytes, 1e9),
        ("the same in a bucket: $ a month", m.month_usd, 1),
        ("writes to the bucket: $", m.put_usd, 1),
        ("objects of journals in a bucket", m.journal_objects, 1),
        ("resume on a disk: hours", m.resume_hours, 1),
        ("resume in a bucket: hours", m.resume_hours_in_bucket, 1),
        ("compaction: core-hours", m.compaction_cpu_hours, 1),
        ("the same in a bucket: hours of waiting", m.compaction_waiting_hours, 1),
        ("the same in a bucket: TB read", m.compaction_read_bytes, 1e12),
        ("driver of generate: GB", m.generate_driver_bytes, 1e9),
        ("driver of convert: GB", m.convert_driver_bytes, 1e9),
        ("convert: core-hours", m.convert_cpu_hours, 1),
        ("convert: blocks of Ray Data", m.blocks, 1),
        ("the same: MB of notes in the driver", m.block_note_bytes, 1e6),
        ("an epoch of 7B LoRA: H200-hours", m.epoch_gpu_hours, 1),
        ("scoring the rows anew: hours", m.score_hours, 1),
    ]
    for name, cost, unit in rows:
        yield [name, *(figure(cost(n) / unit) for n in SIZES)]


@dataclass(frozen=True, slots=True)
class Limit:
    """`words`: what is allowed; `change`: the first thing to change where it is reached."""

    name: str
    cost: Cost
    allowed: float
    words: str
    change: str


def limits(m: Model) -> list[list[str]]:
    """What is reached at which n, the smallest first."""
    found = sorted(
        (largest(one.cost, one.allowed), one.name, one) for one in (*_limits_in_time(m), *_limits_in_space(m))
    )
    return [[name, one.words, power(n), one.change] for n, name, one in found]


def _limits_in_time(m: Model) -> Iterator[Limit]:
    hour, month = (1.0, "1 hour"), (30.0, "30 days")
    yield Limit(
        "resume in a bucket",
        m.resume_hours_in_bucket,
        *hour,
        "leave out journals of rows that are compacted, and compact early",
    )
    yield Limit("resume on a disk", m.resume_hours, *hour, "leave out journals of rows that are compacted")
    yield Limit("quota of the API", m.api_days, *month, "a larger account, or GPUs of our own")
    yield Limit(f"{m.c.gpus:.0f} GPUs of our own", m.own_days, *month, "more GPUs, or a smaller teacher")


def _limits_in_space(m: Model) -> Iterator[Limit]:
    memory = (m.c.memory_bytes, f"{m.c.memory_bytes / 1e9:.0f} GB of memory")
    yield Limit(
        "driver of convert", m.convert_driver_bytes, *memory, "choose by partitions of the conversations' digests"
    )
    yield Limit(
        "driver of evaluate, by a system's rows",
        m.evaluate_driver_bytes,
        *memory,
        "read rows one by one, as `fireact score`",
    )
    yield Limit(
        "driver of generate", m.generate_driver_bytes, *memory, "stream questions; look written keys up by partition"
    )
    yield Limit(
        "dispatcher when a run goes on", m.dispatcher_bytes, *memory, "read a failed row's replies when it is given out"
    )
    yield Limit(
        "copy of the rows on each training machine",
        m.copy_bytes,
        m.c.disk_bytes,
        f"{m.c.disk_bytes / 1e12:.0f} TB of disk",
        "copy only the rows that the machine's workers read",
    )


def loads(m: Model) -> Iterator[list[str]]:
    """What rates ask of parts that there are one or a few of; none of it grows with n."""
    rates = (m.api_rate, m.own_rate)
    alone = m.c.dispatch_cpu_s + m.c.ray_call_cpu_s
    cores: list[tuple[str, float]] = [
        ("dispatcher, reports in batches as measured: core", m.c.dispatch_cpu_s),
        ("dispatcher, a report for each row: core", alone),
        ("quota actor: core", m.c.quota_cpu_s),
        (f"{m.c.workers:.0f} rollout workers: core of each", m.c.worker_cpu_s / m.c.workers),
        ("search over 5 million passages: core", (m.c.calls - 1) / m.c.queries_per_s),
    ]
    for name, each in cores:
        yield [name, *(f"{100 * rate * each:.1f} %" for rate in rates), figure(1 / each)]
    shares = (f"{100 * m.puts_per_s(rate) / m.c.puts_per_s:.1f} %" for rate in rates)
    yield [f"journals' writes to one prefix of a bucket: of {m.c.puts_per_s:,.0f} a second", *shares, "-"]
    share = f"{100 * (m.c.workers + 4) / m.c.ray_actors:.1f} %"  # two searches, dispatcher, quota
    yield [f"actors: of {m.c.ray_actors:,.0f}", share, share, "-"]
    yield ["calls in flight (`generate.concurrency`)", *(figure(m.in_flight(rate)) for rate in rates), "-"]


def tables(m: Model) -> Iterator[tuple[list[str], list[list[str]]]]:
    yield ["trajectories", *(f"10^{round(math.log10(n))}" for n in SIZES)], list(curves(m))
    yield ["what", "allowed", "reached at n =", "first thing to change"], limits(m)
    rates = [f"{name}, {figure(rate)} rollouts/s" for name, rate in (("API", m.api_rate), ("GPUs", m.own_rate))]
    yield ["what is asked of", *rates, "full at rollouts/s"], list(loads(m))


def assumptions(c: Constants) -> list[list[str]]:
    return [[f"`{one.name}`", f"{one.value:g}", one.words] for one in sources(c) if one.kind is Kind.ASSUMED]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="another value of a constant")
    parser.add_argument("--constants", action="store_true", help="print where each number comes from instead")
    args = parser.parse_args(arguments)
    try:
        constants = changed(Constants(), args.set)
    except (TypeError, ValueError) as error:
        parser.error(f"--set takes NAME=VALUE with a name that --constants prints: {error}")
    if args.constants:
        rows = [[one.name, f"{one.value:g}", one.kind, one.place, f"`{one.words}`"] for one in sources(constants)]
        print_table(["constant", "value", "kind", "where", "words"], rows)
        return
    for columns, body in tables(Model(constants)):
        print_table(columns, body)
    print_table(["assumed", "value", "what it stands for"], assumptions(constants))


if __name__ == "__main__":
    main()
