"""Make the nano base model: `python -m fireact_ray.demo.nano.pretrain --text DIR --out DIR --minutes 3`.

`--text` is what `python -m fireact_ray.demo.nano.text` wrote. Training goes through it, in an order of its own each
time, until the minutes are over: three on a fast GPU; two cores would need days for as much. The folder is complete
and loadable after the first `--save-every` seconds and is replaced in place from then on; `card.json` in it says how
far training had come.
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
import math
import random
import time
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from fireact_ray.demo.nano.architecture import nano_config, nano_model
from fireact_ray.demo.nano.scenes import FreshWords
from fireact_ray.demo.nano.text import LENGTH, open_tokenizer, read_shards
from fireact_ray.training.precision import by_hardware

log = logging.getLogger(__name__)

_LENGTHS = ((0.0, 256), (0.35, 512), (0.85, 1024))  # (share of the time gone, tokens per row from then on)
_MATRIX_RATE, _OTHER_RATE = 0.02, 4e-3
_WARMUP_STEPS = 100


def pretrain(
    model: LlamaForCausalLM, text: Path, out: Path, minutes: float, step_tokens: int, seed: int, save_every: float = 240
) -> None:
    """Train `model`, on the device where it is, and leave it in `out`. `step_tokens`: a multiple of 1024."""
    tokenizer, optimizers = open_tokenizer(text), _optimizers(model)
    rows = _rows(text, step_tokens // LENGTH, seed, model.device)
    log.info("%d parameters, %d tokens in the vocabulary", model.num_parameters(), len(tokenizer))
    start, saved, now = time.monotonic(), 0.0, _Progress()
    losses: deque[Tensor] = deque(maxlen=100)

    def save() -> None:
        heard = now._replace(loss=float(torch.stack(list(losses)).mean()))
        _save(model, tokenizer, out, _card(model, tokenizer, text, minutes, step_tokens, seed, heard))

    while (gone := (time.monotonic() - start) / 60 / minutes) < 1:
        for optimizer, rate in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * _schedule(now.steps, gone)
        length = next(n for since, n in reversed(_LENGTHS) if gone >= since)
        ids, weights = (tensor.view(-1, length) for tensor in next(rows))
        loss = _loss(model, ids, weights)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, _ in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        losses.append(loss.detach())
        now = _Progress(now.steps + 1, now.tokens + ids.numel(), time.monotonic() - start)
        if now.steps % 100 == 0:
            heard = torch.stack(list(losses)).mean()
            log.info("step %d: %.2fM tokens, %.0f s, loss %.4f", now.steps, now.tokens / 1e6, now.seconds, heard)
        if now.seconds - saved > save_every:
            saved = now.seconds
            save()
    save()


def _rows(text: Path, n: int, seed: int, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """`n` rows at a time without end, all once before any comes again: ids and weights in [0, 1], both (n, LENGTH)."""
    ids, weights = (torch.from_numpy(array).to(device) for array in read_shards(text))
    generator = torch.Generator().manual_seed(seed)
    while True:
        for chosen in torch.randperm(len(ids), generator=generator).split(n):
            yield ids[chosen].long(), weights[chosen].float() / 100


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
            logits = model(input_ids=torch.tensor([ids + ids], device=model.device)).logits[0]
        again = logits[len(ids) : -1].argmax(-1).cpu()  # foresees all of the second list but its first token
        right += int((again == torch.tensor(ids[1:])).sum())
        total += len(ids) - 1
    return right / total


def _loss(model: LlamaForCausalLM, ids: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean over all tokens but each row's first; those of weight 0 never reach the output head."""
    keep = weights[:, 1:] > 0
    bf16 = by_hardware("auto", ids.device).bf16
    with torch.autocast(ids.device.type, dtype=torch.bfloat16, enabled=bf16):
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
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    text: Path,
    minutes: float,
    step_tokens: int,
    seed: int,
    now: _Progress,
) -> dict[str, Any]:
    shards = len(list(text.glob("shard-*.npz")))
    return {
        "commands": [
            f"python -m fireact_ray.demo.nano.text --shards {shards} --out TEXT",
            f"python -m fireact_ray.demo.nano.pretrain --text TEXT --minutes {minutes:g} --step-tokens {step_tokens} "
            f"--seed {seed} --out MODEL",
        ],
        "text": "invented by demo/nano (basetext.py, lookups.py): the almanac's wordings, none of its names",
        "date": datetime.now(UTC).date().isoformat(),
        "seed": seed,
        "parameters": model.num_parameters(),
        "steps": now.steps,
        "tokens": now.tokens,
        "seconds": round(now.seconds),
        "device": torch.cuda.get_device_name() if model.device.type == "cuda" else "CPU",
        "loss": round(now.loss, 4),
        "copy_accuracy": round(copy_accuracy(model.eval(), tokenizer), 4),
        "torch": torch.__version__,
    }


def _save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, out: Path, card: dict[str, Any]) -> None:
    copy.deepcopy(model).half().save_pretrained(out)  # fp16 rounds less than bf16, and no weight is large
    tokenizer.save_pretrained(out)
    (out / "card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    log.info("saved in %s: copies %.1f%% of tokens", out, 100 * card["copy_accuracy"])
    model.train()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--step-tokens", type=int, default=32_768)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save-every", type=float, default=60, help="seconds")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    tokenizer = open_tokenizer(args.text)
    model = nano_model(nano_config(len(tokenizer), tokenizer.eos_token_id, tokenizer.pad_token_id), args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    pretrain(model.to(device), args.text, args.out, args.minutes, args.step_tokens, args.seed, args.save_every)


if __name__ == "__main__":
    main()
