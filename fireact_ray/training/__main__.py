"""Training without Ray: one process, or several under torchrun.

torchrun --nproc-per-node 2 -m fireact_ray.training \\
    --dataset DIR --base-model DIR --out DIR --set learning_rate=1e-3
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from fireact_ray.core.errors import FireActError, InputError, TrainingStopped, WriteFailed
from fireact_ray.core.json_text import NotJson, parse
from fireact_ray.core.utils.interrupts import interrupts_wait
from fireact_ray.training.checkpoint_folders import latest_checkpoint
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.loop import train
from fireact_ray.training.model_card import write_readme
from fireact_ray.training.progress.entries import TrainEntry
from fireact_ray.training.progress.session import LOG, begin_log, written_log
from fireact_ray.training.wish import Wish

log = logging.getLogger("fireact_ray.training")


def main(argv: list[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    level = logging.INFO if _leads() else logging.WARNING
    logging.basicConfig(level=level, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    device = _join_process_group()
    try:
        with interrupts_wait() as interrupted:
            _train(args, device, interrupted)
    except (KeyboardInterrupt, TrainingStopped):
        return TrainingStopped.exit_code
    except FireActError as error:
        log.error("%s", error)
        return error.exit_code
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
    return 0


def _train(args: argparse.Namespace, device: torch.device, interrupted: Callable[[], bool]) -> None:
    config = TrainConfig.from_dict({"base_model": args.base_model, **dict(map(_setting, args.set))})
    out = Path(args.out)
    checkpoints = out.with_name(f"{out.name}.checkpoints")
    try:
        with _said(checkpoints, out.name, goes_on=args.resume_from is not None) as say:
            train(
                config,
                args.dataset,
                out,
                on_log=say,
                resume_from=args.resume_from,
                checkpoint_dir=checkpoints,
                device=device,
                wished=lambda: Wish.STOP if interrupted() else Wish.NOTHING,
            )
    except TrainingStopped as stopped:
        log.info("%s The same command with --resume-from %s goes on.", stopped, latest_checkpoint(checkpoints))
        raise
    if _leads():
        write_readme(out)  # again, as there is a curve of the loss now


@contextmanager
def _said(checkpoints: Path, name: str, *, goes_on: bool) -> Iterator[Callable[[TrainEntry], None]]:
    """What is to be called with each entry, by the first worker alone. The log is begun with the first of them: a
    training that is refused leaves an earlier one's as it is."""
    write: Callable[[TrainEntry], None] | None = None
    with ExitStack() as opened:

        def say(entry: TrainEntry) -> None:
            nonlocal write
            log.info("%s", json.dumps(entry))
            try:
                if write is None:
                    begin_log(checkpoints, goes_on=goes_on)
                    write = opened.enter_context(written_log(checkpoints, name))
                write(entry)
            except OSError as error:
                raise WriteFailed.of(str(checkpoints / LOG), error) from error

        yield say


def _leads() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fireact_ray.training", description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", required=True, help="folder of the tokenized dataset")
    parser.add_argument("--base-model", required=True, help="folder or hub id of the base model")
    parser.add_argument("--out", required=True, help="folder for the trained model")
    parser.add_argument("--resume-from", help="a checkpoint folder, <out>.checkpoints/step-...")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a field of TrainConfig")
    return parser


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"--set {text}: expected NAME=VALUE, as in --set learning_rate=1e-3.")
    try:
        return name, parse(value)
    except NotJson:
        return name, value  # a word, such as lora


def _join_process_group() -> torch.device:
    """This process's device; joins the others that torchrun started."""
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return device


if __name__ == "__main__":
    sys.exit(main())
