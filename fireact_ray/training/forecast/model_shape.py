"""The shape of a decoder as its config.json tells it: numbers of parameters, without torch and without weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fireact_ray.core.errors import InputError
from fireact_ray.training.decoders import KNOWN, why_not_varlen


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear layer of a decoder layer, without its bias."""

    inputs: int
    outputs: int

    @property
    def parameters(self) -> int:
        return self.inputs * self.outputs


@dataclass(frozen=True, slots=True)
class ModelShape:
    """`hidden`: width of the residual stream; `inner`: of the MLP; `head_dim`: of one attention head; `varlen`: its
    attention can go without masks (training.attention)."""

    hidden: int
    inner: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tied: bool = False  # the head is the embedding
    qkv_bias: bool = False
    qk_norm: bool = False
    varlen: bool = True

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ModelShape:
        """Of a Llama-like decoder's config.json. Raises InputError for any other, and for a number that is missing."""
        kind = config.get("model_type")
        if kind not in KNOWN:
            raise InputError(
                f"model_type {kind!r}: the memory of such a model is not known. Known: {', '.join(KNOWN)}."
            )
        if "quantization_config" in config:
            raise InputError(f"This {kind} is stored quantised; training loads whole weights. Name the original model.")
        heads = _number(config, "num_attention_heads")
        hidden = _number(config, "hidden_size")
        bias, norm = KNOWN[kind]
        return cls(
            hidden,
            _number(config, "intermediate_size"),
            _number(config, "num_hidden_layers"),
            heads,
            _number(config, "num_key_value_heads", heads),
            _number(config, "head_dim", hidden // heads),
            _number(config, "vocab_size"),
            bool(config.get("tie_word_embeddings", False)),
            bias or bool(config.get("attention_bias", False)),
            norm,
            why_not_varlen(config) is None,
        )

    @property
    def attention_width(self) -> int:
        return self.heads * self.head_dim

    @property
    def kv_width(self) -> int:
        return self.kv_heads * self.head_dim

    @property
    def linears(self) -> dict[str, Linear]:
        """Of one layer, by the names that LoRA's targets have."""
        return {
            "q_proj": Linear(self.hidden, self.attention_width),
            "k_proj": Linear(self.hidden, self.kv_width),
            "v_proj": Linear(self.hidden, self.kv_width),
            "o_proj": Linear(self.attention_width, self.hidden),
            "gate_proj": Linear(self.hidden, self.inner),
            "up_proj": Linear(self.hidden, self.inner),
            "down_proj": Linear(self.inner, self.hidden),
        }

    @property
    def layer_matrices(self) -> int:
        """Parameters of one layer's linear layers."""
        return sum(linear.parameters for linear in self.linears.values())

    @property
    def embedding(self) -> int:
        return self.vocabulary * self.hidden

    @property
    def parameters(self) -> int:
        """All of them; tied ones count once."""
        small = 2 * self.hidden
        small += self.qkv_bias * (self.attention_width + 2 * self.kv_width) + self.qk_norm * 2 * self.head_dim
        return self.layers * (self.layer_matrices + small) + self.embedding * (1 if self.tied else 2) + self.hidden

    def adapters(self, rank: int, targets: tuple[str, ...] | None) -> int:
        """LoRA's parameters. `targets` None: every linear layer. Raises InputError for one that is not there."""
        return self.layers * sum(rank * (x.inputs + x.outputs) for x in self.targeted(targets).values())

    def targeted(self, targets: tuple[str, ...] | None) -> dict[str, Linear]:
        names = tuple(self.linears) if targets is None else targets
        if absent := sorted(set(names) - set(self.linears)):
            raise InputError(
                f"train.lora.target_modules: no {', '.join(absent)} here; known: {', '.join(self.linears)}."
            )
        return {name: self.linears[name] for name in names}


def _number(config: dict[str, Any], name: str, otherwise: int | None = None) -> int:
    value = config.get(name)
    found = otherwise if value is None else value
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise InputError(f"config.json: {name} is {value!r}, expected a whole number above 0.")
    return found
