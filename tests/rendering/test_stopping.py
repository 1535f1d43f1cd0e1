"""A tiny model that has learnt four rows by heart ends each of its turns with the end token, through the real path."""

import pytest
import torch
from fakes import question
from transformers import LlamaConfig, LlamaForCausalLM

from fireact_ray.agent.models.base import Sampling
from fireact_ray.core.grammar import episode
from fireact_ray.core.types import Action, Observation, Step, Turn
from fireact_ray.recipe.student import open_student
from fireact_ray.recipe.students import StudentConfig
from fireact_ray.rendering import make_renderer
from fireact_ray.rendering.base import Rendered, Renderer

from . import tokenizers

pytestmark = pytest.mark.torch

CONTEXT, MAX_NEW = 512, 100
NAMES = ["Zem", "Dar", "Ilo", "Fun"]
YEARS = ["1872", "1916", "1903", "1947"]
ROWS = [
    episode(
        question(f"Who was born in {year}?"),
        (
            Step(f"I look for {year}.", Action("search", year), Observation(f"{name} was born in {year}.")),
            Step(f"It is {name}.", Action("finish", name), None),
        ),
        trained=True,
    )
    for name, year in zip(NAMES, YEARS, strict=True)
]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("nano", "plain"),
        ("llama2", "llama2"),
        ("llama3", "chat-template"),
        ("qwen2_coder", "tools"),
    ],
)
async def test_an_overfitted_model_ends_every_turn_with_the_end_token(kind, name, tmp_path):
    renderer = make_renderer(name, tokenizers.tokenizer(kind))
    model = overfitted([renderer.render(row) for row in ROWS], vocabulary=len(tokenizers.original(kind)))
    model.save_pretrained(tmp_path)
    tokenizers.original(kind).save_pretrained(tmp_path)
    chat = open_student(str(tmp_path), StudentConfig(renderer=name, max_context=CONTEXT), on_gpu=False)
    for row in ROWS:
        for n in (1, 3):
            reply = await chat.complete(row[:n], Sampling(max_new_tokens=MAX_NEW))
            assert (reply.text, reply.finish_reason) == (row[n].content, "stop")
            assert reply.usage.completion_tokens == n_trained(renderer, row[: n + 1]) - 1
    await chat.close()


def n_trained(renderer: Renderer, turns: tuple[Turn, ...]) -> int:
    """Of the last turn, its end token included."""
    mask = renderer.render(turns).loss_mask
    return sum(mask[len(renderer.prompt(turns[:-1])) :])


def overfitted(rows: list[Rendered], vocabulary: int) -> LlamaForCausalLM:
    """Trained on nothing but what the masks say, until it has learnt all of it."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=CONTEXT,
            pad_token_id=None,
            bos_token_id=None,
            eos_token_id=None,
        )
    )
    ids, labels = batch(rows)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.0)
    for _ in range(400):
        output = model(input_ids=ids, labels=labels)
        wrong = ((output.logits[:, :-1].argmax(-1) != labels[:, 1:]) & (labels[:, 1:] >= 0)).sum()
        if not wrong and output.loss < 0.02:
            return model.eval()
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
    raise AssertionError(f"the rows were not learnt: {wrong} tokens are wrong")


def batch(rows: list[Rendered]) -> tuple[torch.Tensor, torch.Tensor]:
    longest = max(len(row.input_ids) for row in rows)
    ids, labels = torch.zeros(len(rows), longest, dtype=torch.long), torch.full((len(rows), longest), -100)
    for i, (input_ids, mask) in enumerate(rows):
        ids[i, : len(input_ids)] = torch.tensor(input_ids)
        trained = [token if m else -100 for token, m in zip(input_ids, mask, strict=True)]
        labels[i, : len(input_ids)] = torch.tensor(trained)
    return ids, labels
