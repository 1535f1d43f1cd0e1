"""Next-token cross entropy on trained tokens only.

About half of an agent's conversation is prompt and observation. The hidden states of trained positions are
selected before the head (`logits_to_keep`), so no logits are computed, nor kept for the backward pass, for
the rest.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class TrainedTokenLoss(nn.Module):
    """A model and its loss in one module: DDP only sees what happens in the forward pass of what it wraps."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, loss_mask: Tensor, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Sum of the losses, in nats, and number of the trained tokens; both are scalars.

        `input_ids` (B, T) int64, padded on the right; `loss_mask` (B, T), 1 = trained; `position_ids` (B, T), from 0
        in each of the examples that stand in one line. Without any trained token the sum is 0 and its gradients are
        zeros. A line's first token is never trained: nothing predicts it. That of a later example must not be marked.
        """
        trained = loss_mask[:, 1:].bool()
        predicts = F.pad(trained, (0, 1))  # position t predicts token t + 1; (B, T)
        # No attention mask: padding follows the text, and causal attention does not look ahead. Where positions begin
        # anew, transformers makes the mask block-diagonal (sdpa, eager) or passes on lengths (flash attention).
        logits = self.model(  # (N, vocabulary)
            input_ids=input_ids, position_ids=position_ids, use_cache=False, logits_to_keep=predicts
        ).logits
        targets = input_ids[:, 1:][trained]  # (N,)
        return F.cross_entropy(logits.float(), targets, reduction="sum"), trained.sum()
