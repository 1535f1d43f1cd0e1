"""What a worker holds of others' slices, and of gradients on their way to them, at each moment of a step by FSDP2.

Read off torch.distributed.fsdp._fully_shard (2.13) and training.sharding.fsdp2, which shards each decoder layer for
itself and both ends of the model together (`ends`):

- Both ends are gathered first and stay until the backward pass is over: torch does not let go of a root's weights.
  Nor does it of the head's gradient, until the embedding has its own; then both are sent.
- A layer is gathered into one buffer, from which its weights are copied. In the forward pass the buffer stays until the
  next layer's weights are copied, so there are two of the layer at work. In the backward pass it goes at once, but the
  next layer is gathered meanwhile: two again, one at the first layer. While the loss is computed there is one: of
  the last layer, first left over, then gathered anew.
- The gradients of a layer are as its gathered weights, and are let go once they stand in an fp32 buffer, which is sent.
  That buffer stays until the next layer has all its gradients.

Where a layer's backward pass is at its highest (the MLP's product), of its gradients only that of `down_proj` is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fireact_ray.training.config import TrainSettings
from fireact_ray.training.forecast.activations import Kept
from fireact_ray.training.forecast.model_shape import ModelShape

_SENT = 4  # bytes of a number of a gradient on its way, by our policy


@dataclass(frozen=True, slots=True)
class Moment:
    """Bytes beside a worker's own weights, gradients and moments. `exchange`: gathered, or sent."""

    exchange: int
    activations: int
    transient: int

    @property
    def together(self) -> int:
        return self.exchange + self.activations + self.transient


@dataclass(frozen=True, slots=True)
class Gathered:
    """`layer`, `ends`: bytes as they are gathered. `layer_trained`, `ends_trained`: numbers that have gradients, in as
    many bytes each as `number` says; `head`, `down`: those of the head and of a layer's `down_proj`."""

    layer: int
    ends: int
    number: int
    layer_trained: int
    ends_trained: int
    head: int
    down: int

    @classmethod
    def of(cls, shape: ModelShape, config: TrainSettings, number: int, codes: float) -> Gathered:
        """`number`: bytes of a gathered number. `codes`: of a number of a layer's matrices."""
        is_full = config.tuning == "full"
        adapters = 0 if is_full else shape.adapters(config.lora.rank, config.lora.target_modules) // shape.layers
        ends = (1 if shape.tied else 2) * shape.embedding
        return cls(
            layer=round(codes * shape.layer_matrices) + number * adapters,
            ends=number * ends,
            number=number,
            layer_trained=shape.layer_matrices if is_full else adapters,
            ends_trained=ends * is_full,
            head=shape.embedding * is_full,
            down=shape.linears["down_proj"].parameters * is_full,
        )

    def layer_at_work(self, i: int, layers: int) -> int:
        """In the backward pass of layer `i` of `layers`, from 0."""
        weights = self.ends + self.layer * (2 if i else 1)
        sent = _SENT * self.layer_trained if i + 1 < layers else 0
        return weights + sent + self.number * (self.head + self.down)

    def layer_done(self, i: int) -> int:
        """Behind layer `i`: all its gradients are there, and the buffer that they go into; its weights are not."""
        weights = self.ends + (self.layer if i else 0)
        return weights + (self.number + _SENT) * self.layer_trained + self.number * self.head

    def at_the_end(self, workers: int) -> int:
        """Behind the first layer: the gradients of both ends are there, then stand in their buffer, and what comes back
        of it in another."""
        gradients = self.number * self.ends_trained
        return gradients + max(
            self.ends + _SENT * self.layer_trained, _SENT * (self.ends_trained + self.ends_trained // workers)
        )


def moments(
    gathered: Gathered, parts: Kept, config: TrainSettings, layers: int, workers: int, logits: int
) -> Iterator[Moment]:
    """The points of a step at which memory may be at its highest."""
    every = config.activation_checkpointing

    def before(i: int) -> int:
        """Of the layers before layer `i`."""
        again = -(-i // every) if every else 0
        return (i - again) * parts.layer + again * parts.entry

    yield Moment(gathered.ends + gathered.layer, parts.ends + before(layers), logits)
    for i in range(layers):
        is_again = every is not None and i % every == 0
        held = before(i) + is_again * parts.entry + parts.layer
        yield Moment(gathered.layer_at_work(i, layers), parts.passing + held, parts.working)
        yield Moment(gathered.layer_done(i), parts.passing + before(i) + parts.entry, 0)
    yield Moment(gathered.at_the_end(workers), 0, 0)
