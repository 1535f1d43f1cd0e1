"""Layers that are computed again, or compiled, or both, change no loss and no gradient."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch._dynamo.utils import counters
from transformers import LlamaConfig, LlamaForCausalLM

from fireact_ray.core.errors import TrainingError
from fireact_ray.training.batching import collate
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.data import Row
from fireact_ray.training.layers import set_layers
from fireact_ray.training.loss import TrainedTokenLoss
from fireact_ray.training.model import Prepared, prepare

pytestmark = pytest.mark.torch


def examples() -> list[Row]:
    draw = np.random.default_rng(5)
    return [Row(f"t{n}", draw.integers(1, 32, n).astype(np.int32), np.ones(n, np.int8)) for n in (9, 2, 17, 5, 11, 3)]


def made(layers: int = 4, **settings) -> Prepared:
    torch.manual_seed(7)
    shape = LlamaConfig(
        vocab_size=32, hidden_size=16, intermediate_size=24, num_hidden_layers=layers, num_attention_heads=2
    )
    config = TrainConfig(base_model="m", **{"tuning": "lora", "lora_dropout": 0.1, "lora_rank": 2} | settings)
    prepared = prepare(LlamaForCausalLM(shape), config)
    for name, parameter in prepared.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter.data, std=0.1)
    return prepared


def loss_and_gradients(model, batch) -> tuple[float, dict[str, torch.Tensor]]:
    model.zero_grad()
    torch.manual_seed(11)  # of dropout
    loss, _ = TrainedTokenLoss(model).train()(*batch)
    loss.backward()
    return loss.item(), {name: p.grad.clone() for name, p in model.named_parameters() if p.requires_grad}


@contextmanager
def warnings_of(logger: str) -> Iterator[list[str]]:
    said: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger(logger).addHandler(handler)
    yield said
    logging.getLogger(logger).removeHandler(handler)


@pytest.mark.parametrize("tuning", ["full", "lora"])
@pytest.mark.parametrize(("every", "again"), [(1, [2, 2, 2, 2]), (2, [2, 1, 2, 1]), (3, [2, 1, 1, 2])])
def test_every_nth_layer_is_computed_again_and_nothing_else_changes(every: int, again: list[int], tuning: str):
    batch = collate([examples()], varlen=True)
    loss, gradients = loss_and_gradients(made(tuning=tuning).model, batch)
    model = made(tuning=tuning, activation_checkpointing=every).model
    runs = [0] * 4
    for i, mlp in enumerate(m for name, m in model.named_modules() if name.endswith(".mlp")):
        mlp.register_forward_pre_hook(lambda *_, i=i: runs.__setitem__(i, runs[i] + 1))
    loss_again, gradients_again = loss_and_gradients(model, batch)
    assert runs == again
    assert loss_again == loss  # with the same dropout
    assert all(torch.equal(gradients_again[name], gradients[name]) for name in gradients)
    assert gradients_again.keys() == gradients.keys()


def test_compiled_layers_learn_the_same_from_batches_of_any_length_and_are_compiled_once():
    """On a CPU, where attention itself is not compiled; every second layer is computed again."""
    draws = [examples()[:n] for n in (6, 1, 2, 4, 5)] + [examples()[n:] for n in (1, 2, 3, 4, 5)]
    batches = [collate([rows], varlen=True) for rows in draws]
    plain = made(tuning="full", layers=2)
    expected = [loss_and_gradients(plain.model, batch) for batch in batches]
    compiled = made(tuning="full", layers=2, compile=True, activation_checkpointing=2)
    counters.clear()
    graphs = []
    for batch, (loss, gradients) in zip(batches, expected, strict=True):
        found, found_gradients = loss_and_gradients(compiled.model, batch)
        assert found == pytest.approx(loss, rel=1e-5)
        for name, gradient in gradients.items():
            torch.testing.assert_close(found_gradients[name], gradient, atol=1e-5, rtol=1e-4)
        graphs.append(counters["stats"]["unique_graphs"])
    assert graphs[0] > 0  # what cannot be compiled would be run as before, without a word
    assert graphs == graphs[:1] * 10
    assert list(compiled.model.state_dict()) == list(plain.model.state_dict())
    one = torch._dynamo.config.patch(recompile_limit=1)
    other_numbers = torch.autocast("cpu", torch.bfloat16)  # for which all is compiled anew
    with warnings_of("torch._dynamo.convert_frame") as said, one, other_numbers:
        loss_and_gradients(compiled.model, batches[0])
    assert "hit config.recompile_limit (1)" in said[0]


def test_what_is_compiled_for_other_instructions_is_never_found(monkeypatch: pytest.MonkeyPatch, tmp_path):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    instructions = torch.backends.cpu.get_cpu_capability()
    for _ in range(2):  # children inherit it
        set_layers(made().model, None, True)
        assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == f"{tmp_path}/{instructions}"


def test_layers_can_be_set_back():
    model = made().model
    set_layers(model, 1, False)
    set_layers(model, None, False)
    assert all("forward" not in module.__dict__ for module in model.modules())


def test_a_model_without_decoder_layers_is_refused():
    with pytest.raises(
        TrainingError, match=r"marks no decoder layers in Linear\. Leave train.activation_checkpointing"
    ):
        set_layers(torch.nn.Linear(2, 2), 1, False)
    set_layers(torch.nn.Linear(2, 2), None, False)
