"""A nano Llama that can copy from its first step on.

An agent copies: names from the question into queries, from observations into thoughts, into the answer.
Transformers copy with induction heads (Olsson et al., 2022, "In-context Learning and Induction Heads"): a
head of one layer writes each token's predecessor beside it, and a head of the next layer looks for places
whose predecessor is the current token and predicts what stands there. Such a pair emerges only after many
tokens; a model of this size showed no sign of it after four million, with a quarter hour of two cores gone.
So both heads are written down instead of waited for, and training refines them. The configuration stays a
plain Llama that any library loads.

How the weights say it, given rotary position embeddings (RoPE):

* Layer 0, heads 0 and 1, attend to the token before. Query and key are constant (biases), so that scores
  depend on distance alone, through RoPE: the key's bias is the query's, turned by one position, and scores
  peak at distance 1. Their values carry the token embedding in a subspace A, their outputs put it into
  another subspace, B.
* Layer 1, heads 0 and 1, compare A of the current token with B of every earlier one, in those dimensions
  that RoPE hardly turns within a context, and copy the embedding found there to where the tied output head
  reads it.
* All other outputs start small; otherwise their random noise drowns this path.
"""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

_ROPE_THETA = 1e6  # leaves more than half of the dimensions nearly unturned over 2048 positions
_SLOW = 0.004  # radians per position: below it a dimension serves to compare tokens rather than positions
_COPYING_HEADS = (0, 1)
_QUIET_MLP, _QUIET_ATTENTION = 0.15, 0.3  # first attempts without this damping started at a loss of 7.0


def nano_config(vocabulary: int, eos_id: int, pad_id: int, width: int = 128, layers: int = 6) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=48,  # at least: a match of tokens needs dimensions that RoPE leaves alone
        intermediate_size=width * 8 // 3,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        attention_bias=True,
        rope_parameters={"rope_type": "default", "rope_theta": _ROPE_THETA},
        initializer_range=0.5 * width**-0.5,
        bos_token_id=eos_id,
        eos_token_id=eos_id,
        pad_token_id=pad_id,
    )


def nano_model(config: LlamaConfig, seed: int, induction: bool = True) -> LlamaForCausalLM:
    """A new model; `induction` False leaves the usual random weights, for comparison."""
    torch.manual_seed(seed)
    model = LlamaForCausalLM(config)
    if induction:
        with torch.no_grad():
            _quieten(model)
            for head in _COPYING_HEADS:
                _write_induction(model, head)
            model.model.norm.weight.fill_(2.0)  # more decided logits
    return model


def _quieten(model: LlamaForCausalLM) -> None:
    for layer in model.model.layers:
        attention = layer.self_attn
        for linear in (attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj):
            linear.bias.zero_()
        layer.mlp.down_proj.weight *= _QUIET_MLP
        attention.o_proj.weight *= _QUIET_ATTENTION


def _write_induction(model: LlamaForCausalLM, head: int) -> None:
    before, match = (model.model.layers[i].self_attn for i in (0, 1))
    width, size = model.config.hidden_size, model.config.head_dim
    rows, half = slice(head * size, (head + 1) * size), size // 2
    speed = _ROPE_THETA ** (-torch.arange(half) / half)  # radians per position; RoPE pairs dimension i with i + half

    strength = torch.where(torch.arange(half) < half // 4, 60.0, 15.0).sqrt()  # fast dimensions tell neighbours apart
    before.q_proj.weight[rows] *= 0.1
    before.k_proj.weight[rows] *= 0.1
    before.q_proj.bias[rows] = torch.cat([strength, torch.zeros(half)])
    before.k_proj.bias[rows] = torch.cat([strength * speed.cos(), strength * speed.sin()])

    current, previous, copied = (_orthonormal(size, width) for _ in range(3))  # A, B, and what is copied
    before.v_proj.weight[rows] = 0.25 * current
    before.o_proj.weight[:, rows] = 0.25 * previous.T

    slow = (speed < _SLOW).repeat(2)[:, None]
    match.q_proj.weight[rows] = 3.5 * current * slow
    match.k_proj.weight[rows] = 3.5 * previous * slow
    match.v_proj.weight[rows] = 0.4 * copied
    match.o_proj.weight[:, rows] = 0.4 * copied.T


def _orthonormal(rows: int, columns: int) -> Tensor:
    basis, _ = torch.linalg.qr(torch.randn(columns, rows))
    return basis.T.contiguous()
