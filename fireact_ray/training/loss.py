"""Next-token cross entropy on trained tokens only.

About half of an agent's conversation is prompt and observation. The hidden states of trained positions are
selected before the head (`logits_to_keep`), so no logits are computed, nor kept for the backward pass, for
the rest.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from fireact_ray.training.segments import Segments


class TrainedTokenLoss(nn.Module):
    """A model and its loss in one module: DDP only sees what happens in the forward pass of what it wraps."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        input_ids: Tensor,
        position_ids: Tensor,
        predicts: Tensor,
        targets: Tensor,
        segments: Segments | None = None,
    ) -> tuple[Tensor, int]:
        """Sum of the losses, in nats, a scalar, and number of the trained tokens. Takes what a `Batch` holds.

        `input_ids` (B, T) int64, padded on the right; `position_ids` (B, T), from 0 in each of the examples that stand
        in one line; `predicts`: the positions before the N trained tokens, (N,) int64 of one line or (B, T) bool of
        several; `targets` (N,) int64: the trained tokens; `segments`: where examples end, for varlen attention alone.
        Without any trained token the sum is 0 and its gradients are zeros.
        """
        # No attention mask: padding follows the text, and causal attention does not look ahead. Without segments,
        # transformers makes a mask that is block-diagonal where positions begin anew.
        told = {} if segments is None else {"segments": segments}
        logits = self.model(  # (N, vocabulary), of one line (1, N, vocabulary)
            input_ids=input_ids, position_ids=position_ids, use_cache=False, logits_to_keep=predicts, **told
        ).logits
        loss_sum = F.cross_entropy(logits.flatten(0, -2).float(), targets, reduction="sum")
        return loss_sum, len(targets)
