"""One contestant of benchmarks/training.py: one epoch over the rows, then a line of JSON. Runs where fireact_ray is not
installed, too, so each contestant imports its own.

    python training_contestants.py NAME SCRATCH lora|full

All take 32 rows a step, AdamW at 3e-4, LoRA of rank 8 on every linear layer but the head.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

_BATCH, _RATE, _PAD = 32, 3e-4, 0
_LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


class Count:
    """Tokens and seconds from the end of the first step on."""

    def __init__(self) -> None:
        self.tokens = self.computed = 0
        self._started: float | None = None
        self._seconds = 0.0

    def add(self, input_ids: Any) -> None:
        if self._started is not None:
            self.tokens += int((input_ids != _PAD).sum())
            self.computed += input_ids.numel()

    def step_ended(self) -> None:
        now = time.perf_counter()
        self._started = now if self._started is None else self._started
        self._seconds = now - self._started

    def entry(self, loss: float) -> dict[str, float]:
        return {"tokens": self.tokens, "computed": self.computed, "seconds": self._seconds, "loss": loss}


def ours(scratch: Path, tuning: str, **settings: Any) -> dict[str, float]:
    from fireact_ray.training import stepping
    from fireact_ray.training.config import TrainConfig
    from fireact_ray.training.loop import train

    count, take, losses = Count(), stepping.Stepper.take, []

    def counted(stepper: Any, ready: Any, *args: Any) -> Any:
        for batch in ready.batches:
            count.add(batch.input_ids)
        return take(stepper, ready, *args)

    def ended(entry: dict[str, Any]) -> None:
        count.step_ended()
        losses.append(entry["loss"])

    stepping.Stepper.take = counted
    config = TrainConfig.from_dict(
        {
            "base_model": str(scratch / "base"),
            "tuning": tuning,
            "lora_target_modules": _LINEAR,
            "lora_dropout": 0.0,
            "epochs": 1,
            "learning_rate": _RATE,
            "global_batch_size": _BATCH,
            "log_every_steps": 1,
            "checkpoint_every_steps": 0,
            **settings,
        }
    )
    train(config, scratch / "dataset", scratch / "model", on_log=ended, device="cpu")
    return count.entry(sum(losses) / len(losses))


def trainer(scratch: Path, tuning: str, **settings: Any) -> dict[str, float]:
    """transformers.Trainer on our rows: eight a pass, rows of like length together."""
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

    count = Count()
    arguments = TrainingArguments(
        **_arguments(scratch),
        **({"train_sampling_strategy": "group_by_length"} | settings),
        remove_unused_columns=False,
    )
    tokenizer, model = _tokenizer(scratch), _model(scratch, tuning)
    collator = DataCollatorForSeq2Seq(tokenizer, pad_to_multiple_of=8)
    made = Trainer(model=model, args=arguments, train_dataset=_rows(scratch), data_collator=collator)
    return _run(made, count)


def trl(scratch: Path, tuning: str) -> dict[str, float]:
    """TRL's SFTTrainer on our rows, as `trainer`: packing needs flash attention, which no CPU has, to be right."""
    from trl import SFTConfig, SFTTrainer

    arguments = SFTConfig(
        **_arguments(scratch), train_sampling_strategy="group_by_length", max_length=None, gradient_checkpointing=False
    )
    made = SFTTrainer(
        model=_model(scratch, tuning),
        args=arguments,
        train_dataset=_rows(scratch),
        processing_class=_tokenizer(scratch),
    )
    return _run(made, Count())


def llamafactory(scratch: Path, tuning: str) -> dict[str, float]:
    """LLaMA-Factory on the rows as text, rows of like length together."""
    from llamafactory.train.tuner import run_exp
    from transformers import Trainer, TrainerCallback

    count, losses = Count(), []
    _count_passes(Trainer, count)

    class Steps(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            count.step_ended()

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **kwargs: Any) -> None:
            if "loss" in logs:
                losses.append(float(logs["loss"]))

    run_exp(
        {
            **_arguments(scratch),
            "stage": "sft",
            "do_train": True,
            "model_name_or_path": str(scratch / "base"),
            "dataset_dir": str(scratch / "alpaca"),
            "dataset": "rows",
            "template": "empty",
            "finetuning_type": tuning,
            "lora_rank": 8,
            "lora_alpha": 16,
            "lora_target": "all",
            "cutoff_len": 2048,
            "train_sampling_strategy": "group_by_length",
            "preprocessing_num_workers": 1,
            "overwrite_output_dir": True,
        },
        [Steps()],
    )
    return count.entry(sum(losses) / len(losses))


def _arguments(scratch: Path) -> dict[str, Any]:
    """Eight rows a pass: more is no faster on a CPU."""
    return {
        "output_dir": str(scratch / "others"),
        "num_train_epochs": 1,
        "per_device_train_batch_size": 8,
        "gradient_accumulation_steps": _BATCH // 8,
        "learning_rate": _RATE,
        "lr_scheduler_type": "cosine",
        "logging_steps": 1,
        "report_to": "none",
        "save_strategy": "no",
        "use_cpu": True,
        "bf16": False,
        "fp16": False,
        "disable_tqdm": True,
    }


def _run(made: Any, count: Count) -> dict[str, float]:
    from transformers import TrainerCallback

    class Steps(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            count.step_ended()

    made.add_callback(Steps())
    _count_passes(type(made), count)
    made.train()
    losses = [entry["loss"] for entry in made.state.log_history if "loss" in entry]
    return count.entry(sum(losses) / len(losses))


def _count_passes(kind: Any, count: Count) -> None:
    step = kind.training_step

    def counted(self: Any, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        count.add(inputs["input_ids"])
        return step(self, model, inputs, *args, **kwargs)

    kind.training_step = counted


def _tokenizer(scratch: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(scratch / "base")


def _model(scratch: Path, tuning: str) -> Any:
    import peft
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(scratch / "base", dtype=torch.float32)
    if tuning == "lora":
        model = peft.get_peft_model(
            model, peft.LoraConfig(task_type="CAUSAL_LM", r=8, lora_alpha=16, target_modules=_LINEAR)
        )
    return model


def _rows(scratch: Path) -> Any:
    import datasets
    import pyarrow.parquet as pq

    table = pq.read_table(scratch / "dataset" / "part-000.parquet", columns=["input_ids", "loss_mask"])
    rows = table.to_pylist()
    return datasets.Dataset.from_list(
        [
            {
                "input_ids": row["input_ids"],
                "attention_mask": [1] * len(row["input_ids"]),
                "labels": [i if m else -100 for i, m in zip(row["input_ids"], row["loss_mask"], strict=True)],
                "length": len(row["input_ids"]),
            }
            for row in rows
        ]
    )


CONTESTANTS = {
    "ours": ours,
    "ours-padded": lambda scratch, tuning: ours(scratch, tuning, attention="sdpa"),
    "ours-packed": lambda scratch, tuning: ours(scratch, tuning, attention="sdpa", pack_tokens=2048),
    "trainer": trainer,
    # FireAct's own script needs int8 on a GPU: this is what it tells the Trainer, rows as they come.
    "trainer-fireact": lambda scratch, tuning: trainer(scratch, tuning, train_sampling_strategy="random"),
    "trl": trl,
    "llamafactory": llamafactory,
}

if __name__ == "__main__":
    print(json.dumps(CONTESTANTS[sys.argv[1]](Path(sys.argv[2]), sys.argv[3])))
