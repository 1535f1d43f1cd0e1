"""Keys and values of many conversations at once, and the forward passes that extend them.

One slot holds one conversation, also after its reply: the next prompt of an agent is its last prompt, the reply and an
observation. So a new prompt takes over what some slot already holds of it, and only the rest is computed.

    slot 2 holds      question, thought 1, action 1                    (its last prompt and its reply)
    the next prompt   question, thought 1, action 1, observation 1
    computed                                         observation 1

A prompt that only begins like another conversation (the same instructions) does not take its slot: that beginning is
copied into the idle slot that was used longest ago. What one adapter has read is not known to another.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from fireact_ray.agent.models.engines.attention import Apart, Way, attend, attending, beginning, can_attend_so
from fireact_ray.agent.models.engines.llama import LlamaPass
from fireact_ray.agent.models.engines.slot_layers import Pass, SlotLayer, grown
from fireact_ray.core.errors import InputError

_GROWTH = 256  # tokens by which slots grow: seldom enough to ignore the copying, little beside a context


class CachedSlots:
    """Slots of a causal language model whose layers all attend to the whole context.

    `claim` finds a slot for a prompt, `extend` adds tokens, `swap` reorders. Which slots are in use is known to the
    caller. Memory grows with the number and length of conversations. `wants_neighbours`: see `extend`.
    """

    def __init__(
        self,
        model: Any,
        *,
        max_slots: int,
        max_context: int,
        pad_id: int,
        adapters: Sequence[str] = (),
        llama: LlamaPass | None = None,
    ) -> None:
        """`adapters`: PEFT's names of those that `model` has; empty where it is no PeftModel. `llama`: its pass, where
        that is not the model's own.

        Raises InputError for a model of a shorter context, or with layers that see a part of it only.
        """
        self._model, self._device, self._dtype = model, model.device, model.dtype  # looked up once: it takes time
        self._max_slots = max_slots
        self._max_context = max_context
        self._pad_id = pad_id
        self._adapters = adapters
        # These five stay on the CPU. The last column, here and in the buffers, takes what padding writes.
        self._ids = torch.zeros(0, 1, dtype=torch.long)  # (slots, tokens + 1)
        self._lengths = torch.zeros(0, dtype=torch.long)  # how many tokens of each slot are valid
        self._prompts = torch.zeros(0, dtype=torch.long)  # how many of them were its last prompt
        self._last_use = torch.zeros(0, dtype=torch.long)  # 0 = never
        self._owners = torch.zeros(0, dtype=torch.long)  # by which adapter it was read, by number
        self._uses = 0
        self._pass = Pass()
        self._layers = [SlotLayer(self._pass) for _ in range(_count_layers(model.config, max_context))]
        self._cache = Cache(layers=self._layers)
        self._llama = llama
        self._by_rows = can_attend_so(model)
        self.wants_neighbours = not self._by_rows

    def known(self, prompt_ids: Sequence[int], adapter: int = 0) -> int:
        """How many tokens of a prompt need not be computed; always less than all."""
        return int(self._known_by_slot(torch.tensor(prompt_ids), adapter).max()) if len(self._ids) else 0

    def claim(self, prompt_ids: Sequence[int], busy: Collection[int], adapter: int = 0) -> tuple[int, int]:
        """A slot that is not `busy`, and how many tokens of the prompt it now holds: fewer than all."""
        same = self._known_by_slot(torch.tensor(prompt_ids), adapter)
        source = int(same.argmax()) if len(same) else 0
        known = int(same[source]) if len(same) else 0
        slot = source
        if not known or source in busy or known < int(self._prompts[source]):
            # That conversation does not go on here, it only begins alike: with the same instructions.
            slot = self._oldest(busy)
            own = int(same[slot]) if slot < len(same) else 0  # it may have begun so, too
            self._ids[slot, own:known] = self._ids[source, own:known]
            for buffer in self._buffers():
                buffer[slot, :, own:known] = buffer[source, :, own:known]
        self._lengths[slot], self._prompts[slot], self._owners[slot] = known, len(prompt_ids), adapter
        self._uses += 1
        self._last_use[slot] = self._uses
        return slot, known

    def reserve(self, slots: int, tokens: int) -> None:
        """Make room for so many slots, as far as there may be, and so many tokens in each. What grows is copied; on a
        CPU it has its full size at once, where what nobody writes to takes no memory."""
        if self._device.type == "cpu":
            slots, tokens = self._max_slots, self._max_context
        have_slots, have_tokens = len(self._ids), self._ids.shape[1] - 1
        if slots <= have_slots and tokens <= have_tokens:
            return
        if slots > have_slots:
            have_slots = min(self._max_slots, max(slots, 4, 2 * have_slots))
        if tokens > have_tokens:
            have_tokens = min(self._max_context, -(-tokens // _GROWTH) * _GROWTH)
        self._ids = grown(self._ids, (have_slots, have_tokens + 1))
        tables = (self._lengths, self._prompts, self._last_use, self._owners)
        self._lengths, self._prompts, self._last_use, self._owners = (grown(table, (have_slots,)) for table in tables)
        self._pass.capacity = (have_slots, have_tokens + 1)
        for layer in self._layers:
            layer.grow()

    def extend(self, slots: Sequence[int], new_ids: Sequence[Sequence[int]]) -> Tensor:
        """Append ids to slots. Logits (slots, vocabulary) of what follows; of no meaning where no id is new.

        Where the slots want neighbours, consecutive ones are computed in place and others are gathered first: it is
        worth passing an idle one between two others, without ids.
        """
        rows = torch.tensor(slots)
        counts = torch.tensor([len(ids) for ids in new_ids])
        starts = self._lengths[rows]
        ends = starts + counts
        longest = int(ends[counts > 0].max())
        self.reserve(0, longest)
        way = self._way(rows, counts) if self._by_rows else None
        self._lengths[rows] = ends
        steps = torch.arange(int(counts.max()))
        real = steps < counts[:, None]  # (slots, new)
        positions = torch.where(real, starts[:, None] + steps, 0)
        columns = torch.where(real, positions, self._ids.shape[1] - 1)
        ids = torch.full(real.shape, self._pad_id)
        ids[real] = torch.tensor([token for row in new_ids for token in row])
        self._ids[rows[:, None], columns] = ids

        same_lengths = bool(real.all()) and bool((starts == starts[0]).all())
        plain = same_lengths and (len(steps) == 1 or int(starts[0]) == 0)  # no mask: the faster kernels
        consecutive = list(slots) == list(range(slots[0], slots[0] + len(slots)))
        if isinstance(way, Apart):
            self._pass.read = None
        else:
            self._pass.read = slice(slots[0], slots[0] + len(slots)) if consecutive else self._to_device(rows)
        self._pass.slots, self._pass.columns = self._to_device(rows), self._to_device(columns)
        self._pass.places = None
        self._pass.start, self._pass.end = int(starts[0]), longest
        mask = None if plain or isinstance(way, Apart) else self._mask(positions, longest)
        last = counts.clamp(min=1) - 1
        if self._llama:
            return self._llama(ids, positions, last, partial(self._attend, way, mask))
        by = {"adapter_names": [self._adapters[n] for n in self._owners[rows].tolist()]} if self._adapters else {}
        with attending(way):
            output = self._model(
                input_ids=self._to_device(ids),
                position_ids=self._to_device(positions),
                attention_mask=mask,
                past_key_values=self._cache,
                use_cache=True,
                logits_to_keep=self._to_device(last[:, None]),
                **by,
            )
        return output.logits[:, 0]

    def _attend(
        self, way: Way, mask: Tensor | None, layer: int, query: Tensor, keys: Tensor, values: Tensor, scale: float
    ) -> Tensor:
        return attend(query, *self._layers[layer].update(keys, values), mask, way, scale)

    def swap(self, a: int, b: int) -> None:
        if a == b:
            return
        pair, reverse = [a, b], [b, a]
        longest = int(self._lengths[pair].max())
        for table in (self._ids, self._lengths, self._prompts, self._last_use, self._owners):
            table[pair] = table[reverse]
        for buffer in self._buffers():
            buffer[pair, :, :longest] = buffer[reverse, :, :longest]

    def _way(self, slots: Tensor, counts: Tensor) -> Way:
        """How so many new tokens of each slot will attend; what a slot without any reads has no meaning."""
        busy = slots[counts > 0]
        of_one = len(busy) > 1 and bool((self._owners[busy] == self._owners[busy[0]]).all())
        known = int(self._lengths[busy].min()) if of_one else 0
        shared = beginning(self._ids[busy, :known], holder=int(counts.argmax()))
        if len(slots) == 1 or int(counts.max()) > 1:
            return shared
        if shared:
            shared = replace(shared, holder=int(busy[0]))
        ends = torch.where(counts > 0, self._lengths[slots], shared.tokens if shared else 0) + 1
        return Apart(slots, ends, shared)

    def _known_by_slot(self, prompt: Tensor, adapter: int) -> Tensor:
        """How many tokens of a prompt each slot holds from its beginning on, less than all: (slots,)."""
        width = min(len(prompt), self._ids.shape[1])
        same = (self._ids[:, :width] == prompt[:width]).cumprod(1).sum(1)
        return torch.minimum(same, self._lengths).clamp(max=len(prompt) - 1) * (self._owners == adapter)

    def _oldest(self, busy: Collection[int]) -> int:
        """The slot, not `busy`, that was used longest ago; a new one while there may be more."""
        last_use = self._last_use.clone()
        last_use[list(busy)] = self._uses + 1
        if len(last_use) < self._max_slots and bool(last_use.all()):
            self.reserve(len(last_use) + 1, 0)
            return len(last_use)
        return int(last_use.argmin())

    def _buffers(self) -> Iterator[Tensor]:
        return (buffer for layer in self._layers for buffer in layer.buffers)

    def _mask(self, positions: Tensor, columns: int) -> Tensor:
        """To be added to attention scores, (rows, 1, new, columns): no token sees what comes after it."""
        later = torch.arange(columns) > positions[:, :, None]
        mask = torch.zeros(later.shape, dtype=self._dtype).masked_fill(later, torch.finfo(self._dtype).min)
        return self._to_device(mask[:, None])

    def _to_device(self, tensor: Tensor) -> Tensor:
        return tensor.to(self._device)


def _count_layers(config: Any, max_context: int) -> int:
    text = config.get_text_config()
    limit = getattr(text, "max_position_embeddings", max_context)
    if limit < max_context:
        raise InputError(f"max_context is {max_context}; this model was made for {limit} tokens at most.")
    window = getattr(text, "sliding_window", None) or 0
    kinds = set(getattr(text, "layer_types", None) or ["sliding_attention" if window else "full_attention"])
    partial = kinds - {"full_attention"} - ({"sliding_attention"} if window >= max_context else set())
    if partial:
        raise InputError(
            f"This model has {', '.join(sorted(partial))} layers; here every layer must attend to all "
            f"{max_context} tokens of the context. Lower max_context to its window, or serve it with vLLM."
        )
    return int(text.num_hidden_layers)
