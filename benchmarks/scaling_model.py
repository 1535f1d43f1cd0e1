"""What trajectories take, by stage, as functions of how many there are: reckoned from benchmarks.scaling_constants."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.scaling_constants import Constants

_HOUR, _DAY = 3600.0, 86400.0
_LARGEST = 1e15

Cost = Callable[[float], float]  # of n trajectories


@dataclass(frozen=True)
class Model:
    """`c`: the constants. Where nothing else is said, rows come as fast as the paid API lets them."""

    c: Constants

    # The teacher.

    @property
    def api_rate(self) -> float:
        """Rollouts a second by the API's limits."""
        by_requests = self.c.requests_per_minute / self.c.calls
        by_tokens = self.c.tokens_per_minute / (self.c.prompt_tokens + self.c.completion_tokens)
        return min(by_requests, by_tokens) / 60

    @property
    def own_rate(self) -> float:
        """The same by GPUs of our own."""
        return self.c.gpus * self.c.gpu_tokens_per_s / self.c.completion_tokens

    def api_days(self, n: float) -> float:
        return n / self.api_rate / _DAY

    def own_days(self, n: float) -> float:
        return n / self.own_rate / _DAY

    def api_usd(self, n: float) -> float:
        return n * (self.c.prompt_tokens * self.c.prompt_usd + self.c.completion_tokens * self.c.completion_usd)

    def own_usd(self, n: float) -> float:
        return self.own_days(n) * 24 * self.c.gpus * self.c.gpu_usd_per_h

    # What we spend on it.

    def cpu_hours(self, n: float) -> float:
        return n * self.c.rollout_cpu_s / _HOUR

    def cpu_usd(self, n: float) -> float:
        return self.cpu_hours(n) * self.c.cpu_usd_per_h

    def in_flight(self, rate: float) -> float:
        """Calls, by Little's law."""
        return rate * self.c.calls * self.c.call_s

    @property
    def rows_per_part(self) -> float:
        return min(self.c.part_rows, max(1.0, self.c.part_age_s * self.api_rate / self.c.workers))

    def parts(self, n: float) -> float:
        return n / self.rows_per_part

    def compacted(self, n: float) -> float:
        return math.ceil(n * self.c.part_bytes / self.c.compacted_bytes)

    def stored_bytes(self, n: float) -> float:
        return n * (self.c.part_bytes + self.c.journal_bytes)

    def month_usd(self, n: float) -> float:
        return self.stored_bytes(n) * self.c.month_usd_per_byte

    def puts_per_s(self, rate: float) -> float:
        """Of all workers: one at a time each, shared by the replies and observations that come meanwhile."""
        lines_per_s = rate * (2 * self.c.calls - 1) / self.c.workers
        return self.c.workers * lines_per_s / (1 + lines_per_s * self.c.request_s)

    def journal_puts(self, n: float) -> float:
        return n * self.puts_per_s(self.api_rate) / self.api_rate

    def journal_objects(self, n: float) -> float:
        return self.journal_puts(n) / self.c.merged_segments

    def put_usd(self, n: float) -> float:
        return (self.journal_puts(n) + self.journal_objects(n) + self.parts(n)) * self.c.put_usd

    # Going on with a run that was killed at its end.

    def resume_hours(self, n: float) -> float:
        return n * self.c.resume_s / _HOUR

    def resume_hours_in_bucket(self, n: float) -> float:
        requests = self.parts(n) * self.c.part_reads + self.journal_objects(n) * self.c.journal_reads
        return self.resume_hours(n) + requests * self.c.request_s / self.c.reads_at_once / _HOUR

    # Compaction: the keys of all old parts are read, then each part once.

    def compaction_cpu_hours(self, n: float) -> float:
        opened = self.parts(n) * self.c.compaction_reads * self.c.open_s
        return (n / self.c.decoded_rows_per_s + opened) / _HOUR

    def compaction_waiting_hours(self, n: float) -> float:
        """For a bucket, of all tasks together."""
        requests = self.parts(n) * self.c.compaction_reads
        return requests * self.c.request_s / self.c.reads_at_once / _HOUR

    def compaction_read_bytes(self, n: float) -> float:
        """Of a bucket, where small parts are read whole also for their keys."""
        return self.c.compaction_reads * n * self.c.part_bytes

    # Memory of one process.

    def generate_driver_bytes(self, n: float) -> float:
        """At its audit; it keeps less of what is written when a run goes on."""
        return n * (self.c.question_bytes + self.c.audit_bytes)

    def dispatcher_bytes(self, n: float) -> float:
        """When a run goes on."""
        return n * (self.c.resume_bytes + self.c.failed_share * self.c.paid_bytes)

    def convert_driver_bytes(self, n: float) -> float:
        return n * self.c.convert_bytes

    def evaluate_driver_bytes(self, n: float) -> float:
        """`n`: rows of one system, all of which it holds."""
        return n * self.c.row_bytes

    # Later stages, of all rows.

    def convert_cpu_hours(self, n: float) -> float:
        return n * self.c.convert_cpu_s / _HOUR

    def blocks(self, n: float) -> float:
        return math.ceil(n / (self.c.group_rows * self.c.task_groups))

    def block_note_bytes(self, n: float) -> float:
        return self.blocks(n) * self.c.block_bytes

    def epoch_gpu_hours(self, n: float) -> float:
        return n * self.c.row_tokens / self.c.train_tokens_per_s / _HOUR

    def copy_bytes(self, n: float) -> float:
        return n * self.c.row_tokens * self.c.copy_bytes_per_token

    def score_hours(self, n: float) -> float:
        return n / self.c.score_rows_per_s / _HOUR


def largest(cost: Cost, allowed: float) -> float:
    """The n at which a cost that grows with n reaches what is allowed."""
    low, high = 1.0, _LARGEST
    while high / low > 1.001:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if cost(middle) <= allowed else (low, middle)
    return low
