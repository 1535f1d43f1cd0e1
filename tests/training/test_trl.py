"""TRL trains on what we export, and its loss on the same masked tokens is ours."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from fakes import finished_trajectory
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from fireact_ray.core.paths import NANO_DIR
from fireact_ray.data.examples import to_example
from fireact_ray.data.formats.exporters import chat_row, tools_row
from fireact_ray.rendering import make_renderer
from fireact_ray.rendering.tokenizer import HubTokenizer
from fireact_ray.training.batching import collate
from fireact_ray.training.data import Row
from fireact_ray.training.loss import TrainedTokenLoss

pytestmark = pytest.mark.torch

# The layout of our renderer `plain`, with TRL's marks around what is learnt.
PLAIN = (
    "{% for m in messages %}{% if m.role == 'assistant' %}"
    "{% generation %}{{ m.content + eos_token }}{% endgeneration %}"
    "{% elif loop.first %}{{ 'Question: ' + m.content + '\n' }}{% else %}{{ '\n' + m.content + '\n' }}{% endif %}"
    "{% endfor %}"
)
WHOLE = finished_trajectory("a")
ROWS = [replace(WHOLE, steps=WHOLE.steps[1:]), replace(WHOLE, trajectory_id="b", steps=WHOLE.steps[2:])]


@pytest.fixture
def tokenizer():
    tokenizer = AutoTokenizer.from_pretrained(NANO_DIR)
    tokenizer.chat_template = PLAIN
    return tokenizer


@pytest.fixture
def trained(tmp_path, tokenizer):
    """Rows -> one optimizer step of TRL: the loss it logged, ours, and the ids and labels that it made of the rows."""
    trl, datasets = pytest.importorskip("trl"), pytest.importorskip("datasets")

    def train(rows: list[dict], **settings) -> tuple[float, float, list[dict]]:
        (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
        dataset = datasets.load_dataset(
            "json", data_files=str(tmp_path / "rows.jsonl"), split="train", cache_dir=str(tmp_path / "cache")
        )
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2
        )
        model = LlamaForCausalLM(config)
        arguments = trl.SFTConfig(
            output_dir=str(tmp_path / "trl"),
            max_steps=1,
            per_device_train_batch_size=len(rows),
            logging_steps=1,
            report_to=[],
            save_strategy="no",
            use_cpu=True,
            bf16=False,
            activation_checkpointing=False,
            **settings,
        )
        trainer = trl.SFTTrainer(model=model, args=arguments, train_dataset=dataset, processing_class=tokenizer)
        prepared = [dict(row) for row in trainer.train_dataset]
        ours = _our_loss(model, prepared)
        trainer.train()
        return trainer.state.log_history[0]["loss"], ours, prepared

    return train


def _our_loss(model, prepared: list[dict]) -> float:
    """Per trained token, before the step."""
    packs = [
        [Row("t", np.array(row["input_ids"]), np.array([label != -100 for label in row["labels"]], np.int8))]
        for row in prepared
    ]
    with torch.no_grad():
        total, n = TrainedTokenLoss(model)(*collate(packs))
    return (total / n).item()


def rendered(tokenizer) -> list[tuple[list[int], list[int]]]:
    renderer = make_renderer("plain", HubTokenizer(tokenizer))
    return [tuple(renderer.render(to_example(row))) for row in ROWS]


def labels(ids: list[int], mask: list[int]) -> list[int]:
    return [i if m else -100 for i, m in zip(ids, mask, strict=True)]


def test_our_tokens_and_mask_are_trained_on_as_they_are(trained, tokenizer):
    """`dataset/` as it is, loss_mask under the name that TRL knows."""
    examples = rendered(tokenizer)
    loss, ours, prepared = trained([{"input_ids": ids, "assistant_masks": mask} for ids, mask in examples])
    assert [row["input_ids"] for row in prepared] == [ids for ids, _ in examples]
    assert [row["labels"] for row in prepared] == [labels(*example) for example in examples]
    assert loss == pytest.approx(ours, rel=1e-4)


def test_the_chat_export_is_learnt_where_our_mask_is_one(trained, tokenizer):
    loss, ours, prepared = trained([chat_row(row) for row in ROWS], assistant_only_loss=True)
    assert [row["input_ids"] for row in prepared] == [ids for ids, _ in rendered(tokenizer)]
    assert [row["labels"] for row in prepared] == [labels(*example) for example in rendered(tokenizer)]
    assert loss == pytest.approx(ours, rel=1e-4)


def test_the_export_with_tools_is_taken_too(trained, tokenizer):
    tokenizer.chat_template = (
        "{% for t in tools or [] %}{{ t | tojson }}{% endfor %}{% for m in messages %}{{ m.content }}"
        "{% for c in m.tool_calls or [] %}{{ c.function | tojson }}{% endfor %}{{ eos_token }}{% endfor %}"
    )
    loss, ours, prepared = trained([tools_row(row) for row in ROWS])
    text = tokenizer.decode(prepared[0]["input_ids"])
    assert '"query"' in text
    assert "Answer: Ila Dun" in text
    assert math.isfinite(loss)
    assert loss == pytest.approx(ours, rel=1e-4)
