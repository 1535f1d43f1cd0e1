"""Whether a merged model says what its adapter says on its base: greedy replies, token for token.

Both are computed in fp32, so that what is found is the rounding of the merged weights and nothing else. Where replies
part, the two tokens had nearly equal logits, or the merge is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fireact_ray.core.errors import InputError
from fireact_ray.core.storage.artifacts import MANIFEST
from fireact_ray.core.storage.folder import Folder
from fireact_ray.training.artifacts import load_trained
from fireact_ray.training.mapped.loading import TokenDataset, load_dataset
from fireact_ray.training.merge import stored_dtype

# Of the largest logit. Rounding moves logits by a few units of the weights' last place, and layers add it up.
_ROUNDING = {torch.float32: 1e-4, torch.float16: 5e-3, torch.bfloat16: 4e-2}


@dataclass(frozen=True, slots=True)
class Reply:
    """`ids` (T,): chosen greedily; `logits` (T, vocabulary): that each was chosen by."""

    ids: tuple[int, ...]
    logits: Tensor


@dataclass(frozen=True, slots=True)
class Parting:
    """Where two replies part: `token` counts from 1. `gap`: by how much each model preferred its own token, the larger
    of both; `rounding`: up to where that is no more than rounding."""

    prompt: int
    token: int
    unmerged_id: int
    merged_id: int
    gap: float
    rounding: float

    @property
    def is_rounding(self) -> bool:
        return self.gap <= self.rounding

    def __str__(self) -> str:
        verdict = "rounding" if self.is_rounding else "more than rounding"
        return (
            f"prompt {self.prompt}: the replies part at token {self.token} ({self.unmerged_id} unmerged, "
            f"{self.merged_id} merged), whose logits are {self.gap:.2g} apart; {verdict} (up to {self.rounding:.2g})"
        )


@dataclass(frozen=True, slots=True)
class MergeCheck:
    n_prompts: int
    n_tokens: int  # of the unmerged replies
    partings: tuple[Parting, ...]

    @property
    def passed(self) -> bool:
        return all(parting.is_rounding for parting in self.partings)

    def __str__(self) -> str:
        equal = self.n_prompts - len(self.partings)
        head = f"check: {equal} of {self.n_prompts} greedy replies are equal, {self.n_tokens} tokens"
        return "\n".join([head, *map(str, self.partings)])


def check_merge(
    adapter: Path, merged: Path, dataset: Folder, *, n_prompts: int = 8, max_new_tokens: int = 64
) -> MergeCheck:
    """`adapter`, `merged`: model folders; prompts are the first rows of `dataset`, up to their first trained token.

    One model is in memory at a time, in fp32. Raises InputError where there is no dataset.
    """
    demand_prompts(dataset)
    prompts = first_prompts(load_dataset(dataset.uri), n_prompts)
    unmerged = replies_of(load_trained(adapter).model, prompts, max_new_tokens)
    after = replies_of(load_trained(merged).model, prompts, max_new_tokens)
    rounding = _ROUNDING[stored_dtype(merged)]
    pairs = enumerate(zip(unmerged, after, strict=True), start=1)
    partings = [parting for n, (one, other) in pairs if (parting := part(n, one, other, rounding))]
    return MergeCheck(len(prompts), sum(len(reply.ids) for reply in unmerged), tuple(partings))


def demand_prompts(dataset: Folder) -> None:
    """Raises InputError where there is no dataset."""
    if not dataset.exists(MANIFEST):
        raise InputError(
            f"{dataset.shown}: no dataset there to take prompts from. Name the folder of a run that has one."
        )


def first_prompts(data: TokenDataset, n: int) -> list[list[int]]:
    """Of the first `n` rows, what stands before their first trained token; rows that begin with one have no prompt."""
    starts = ((row.input_ids, int(row.loss_mask.argmax())) for row in data.rows)
    return list(islice((ids[:start].tolist() for ids, start in starts if start), n))


def replies_of(model: Any, prompts: Sequence[Sequence[int]], max_new_tokens: int) -> list[Reply]:
    """Greedy replies by transformers' own loop, one prompt at a time."""
    found = []
    for prompt in prompts:
        ids = torch.tensor([list(prompt)], device=model.device)
        out = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=max_new_tokens,
            do_sample=False,
            output_logits=True,
            return_dict_in_generate=True,
        )
        logits = torch.cat(out.logits).float().cpu()
        found.append(Reply(tuple(out.sequences[0, len(prompt) :].tolist()), logits))
    return found


def part(prompt: int, unmerged: Reply, merged: Reply, rounding: float) -> Parting | None:
    """Where they part; None where one is the other. `rounding`: as a share of the largest logit."""
    pairs = zip(unmerged.ids, merged.ids, strict=False)  # the shorter one ends in a token that the other has not
    at = next((n for n, (one, other) in enumerate(pairs) if one != other), None)
    if at is None:
        return None
    one, other = unmerged.ids[at], merged.ids[at]
    before, after = unmerged.logits[at], merged.logits[at]
    gap = max(float(before[one] - before[other]), float(after[other] - after[one]))
    return Parting(prompt, at + 1, one, other, gap, rounding * float(before.abs().max()))
