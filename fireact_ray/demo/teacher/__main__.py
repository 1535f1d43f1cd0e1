"""Serve the scripted teacher until interrupted: python -m fireact_ray.demo.teacher --port 8001 --seed 0"""

from __future__ import annotations

import argparse
import logging
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from fireact_ray.core.errors import InputError
from fireact_ray.demo.teacher.brain import BrainConfig
from fireact_ray.demo.teacher.faults import Fault, FaultRates, Latency
from fireact_ray.demo.teacher.limiting import RateLimit
from fireact_ray.demo.teacher.server import ScriptedTeacher


def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    rates = {str(fault): getattr(args, fault) for fault in Fault}
    try:
        teacher = ScriptedTeacher(
            BrainConfig(args.seed, args.error_rate, args.memory),
            faults=FaultRates(**rates, retry_after_s=args.retry_after_s, seed=args.seed),
            latency=Latency(args.latency_median_s, args.latency_sigma, args.seed, args.stall_rate, args.stall_factor),
            rate_limit=RateLimit(args.requests_per_minute),
            port=args.port,
            calls_file=args.calls_file,
        )
    except InputError as error:
        logging.error(error)
        return error.exit_code
    with teacher:
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m fireact_ray.demo.teacher", description="Serve the scripted teacher.")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--error-rate", type=float, default=0.1)
    parser.add_argument("--memory", type=float, default=0.35)
    parser.add_argument("--latency-median-s", type=float, default=0.0)
    parser.add_argument("--latency-sigma", type=float, default=0.0)
    parser.add_argument("--stall-rate", type=float, default=0.0, help="share of requests that take longer")
    parser.add_argument("--stall-factor", type=float, default=6.0, help="how many times as long")
    parser.add_argument("--retry-after-s", type=float, default=1.0)
    parser.add_argument("--requests-per-minute", type=float, default=None, help="more are refused with a 429")
    parser.add_argument("--calls-file", type=Path, default=None, help="one JSON line per call goes there")
    for fault in Fault:
        parser.add_argument(f"--{fault.replace('_', '-')}", type=float, default=0.0, metavar="RATE")
    return parser


if __name__ == "__main__":
    sys.exit(main())
