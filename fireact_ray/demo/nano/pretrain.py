"""Make the nano base model: `python -m fireact_ray.demo.nano.pretrain --minutes 25 --out DIR`.

No input but a seed: text is invented while training goes on. The folder is complete and loadable after the
first `--save-every` seconds and is replaced in place from then on; `card.json` in it says how far training
had come.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import logging
import math
import random
import time
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerFast

from fireact_ray.core.json_text import parse
from fireact_ray.demo.nano import stream
from fireact_ray.demo.nano.architecture import nano_config, nano_model
from fireact_ray.demo.nano.scenes import FreshWords
from fireact_ray.demo.nano.tokenizer import train_tokenizer
from fireact_ray.training.precision import has_bf16

log = logging.getLogger(__name__)

_TOKENIZER_TEXTS = 8000
_STEP_TOKENS = 2048  # a smaller batch learns more per token here, a larger one gains little speed
_LENGTHS = ((0.0, 256), (0.35, 512), (0.85, 1024))  # (share of the time gone, tokens per row from then on)
_MATRIX_RATE, _OTHER_RATE = 0.02, 4e-3
_WARMUP_STEPS = 100


def pretrain(
    minutes: float,
    out: Path,
    seed: int = 0,
    start_from: Path | None = None,
    threads: int = 1,
    save_every: float = 240,
) -> None:
    """`start_from`: a folder that an earlier call has left; its model is trained further. Take another seed then."""
    torch.set_num_threads(threads)
    model, tokenizer, history = _load(start_from) if start_from else (*_create(seed), [])
    command = f"python -m fireact_ray.demo.nano.pretrain --minutes {minutes:g} --seed {seed}"
    command += " --start-from <what the previous command made>" if history else ""
    packer = stream.Packer(tokenizer, seed + 1)
    optimizers = _optimizers(model)
    log.info("%d parameters, %d tokens in the vocabulary", model.num_parameters(), len(tokenizer))
    start, saved, now = time.monotonic(), 0.0, _Progress()
    losses: deque[float] = deque(maxlen=100)

    def save() -> None:
        _save(model, tokenizer, out, [*history, _card(model, tokenizer, command, seed, now)])

    while (gone := (time.monotonic() - start) / 60 / minutes) < 1:
        for optimizer, rate in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * _schedule(now.steps, gone)
        length = next(n for since, n in reversed(_LENGTHS) if gone >= since)
        ids, weights = packer.batch(_STEP_TOKENS // length, length)
        loss = _loss(model, ids, weights)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, _ in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        losses.append(loss.item())
        seconds = time.monotonic() - start
        now = _Progress(now.steps + 1, now.tokens + ids.numel(), seconds, sum(losses) / len(losses))
        if now.steps % 100 == 0:
            log.info("step %d: %.2fM tokens, %.0f s, loss %.4f", now.steps, now.tokens / 1e6, seconds, now.loss)
        if seconds - saved > save_every:
            saved = seconds
            save()
    save()


class _Progress(NamedTuple):
    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0
    loss: float = float("nan")  # mean of the last hundred steps


def copy_accuracy(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, n_lists: int = 16) -> float:
    """Share of tokens foreseen when a list of eight new names comes a second time."""
    rng, pool = random.Random(1), FreshWords()
    right = total = 0
    for _ in range(n_lists):
        names = ", ".join(pool.name(rng.choice(("person", "film", "lake", "city")), rng) for _ in range(8))
        ids = tokenizer.encode(f" {names}\n", add_special_tokens=False)
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids + ids])).logits[0]
        again = logits[len(ids) : -1].argmax(-1)  # foresees all of the second list but its first token
        right += int((again == torch.tensor(ids[1:])).sum())
        total += len(ids) - 1
    return right / total


def _create(seed: int) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    tokenizer = train_tokenizer(itertools.islice(stream.texts(seed), _TOKENIZER_TEXTS))
    config = nano_config(len(tokenizer), tokenizer.eos_token_id, tokenizer.pad_token_id)
    return nano_model(config, seed), tokenizer


def _load(folder: Path) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast, list[dict[str, Any]]]:
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    history = parse((folder / "card.json").read_bytes())
    return model, AutoTokenizer.from_pretrained(folder), history


def _loss(model: LlamaForCausalLM, ids: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean over all tokens but each row's first; those of weight 0 never reach the output head."""
    keep = weights[:, 1:] > 0
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=has_bf16(ids.device)):
        hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state
        logits = model.lm_head(hidden[:, :-1][keep])
    losses = F.cross_entropy(logits.float(), ids[:, 1:][keep], reduction="none")
    kept = weights[:, 1:][keep]
    return (losses * kept).sum() / kept.sum()


def _optimizers(model: LlamaForCausalLM) -> list[tuple[torch.optim.Optimizer, float]]:
    """Muon for the layers' matrices, AdamW for embedding, norms and biases; each with its peak rate."""
    layers = list(model.model.layers.parameters())
    matrices = [p for p in layers if p.ndim == 2]
    others = [p for p in layers if p.ndim != 2] + list(model.model.norm.parameters())
    embedding = list(model.model.embed_tokens.parameters())
    adam = torch.optim.AdamW(
        [{"params": embedding, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
        betas=(0.9, 0.95),
    )
    return [(torch.optim.Muon(matrices, weight_decay=0.1), _MATRIX_RATE), (adam, _OTHER_RATE)]


def _schedule(step: int, gone: float) -> float:
    """Warm-up by steps, then a cosine over the time that is left."""
    return min(1.0, (step + 1) / _WARMUP_STEPS) * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * gone)))


def _card(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, command: str, seed: int, now: _Progress
) -> dict[str, Any]:
    return {
        "command": command,
        "text": "invented by demo/nano (basetext.py, lookups.py): the almanac's wordings, none of its names",
        "date": datetime.now(UTC).date().isoformat(),
        "seed": seed,
        "parameters": model.num_parameters(),
        "steps": now.steps,
        "tokens": now.tokens,
        "seconds": round(now.seconds),
        "loss": round(now.loss, 4),
        "copy_accuracy": round(copy_accuracy(model.eval(), tokenizer), 4),
        "torch": torch.__version__,
    }


def _save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, out: Path, card: list[dict[str, Any]]) -> None:
    copy.deepcopy(model).half().save_pretrained(out)  # fp16 rounds less than bf16, and no weight is large
    tokenizer.save_pretrained(out)
    (out / "card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    log.info("saved in %s: copies %.1f%% of tokens", out, 100 * card[-1]["copy_accuracy"])
    model.train()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=25)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start-from", type=Path, help="folder of an earlier run, to go on from")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--save-every", type=float, default=240, help="seconds")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    pretrain(args.minutes, args.out, args.seed, args.start_from, args.threads, args.save_every)


if __name__ == "__main__":
    main()
