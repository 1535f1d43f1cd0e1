"""What two workers do with ZeRO-3: BASE DATA OUT. They train and are killed; two others go on. What the first of them
saw is in OUT/train.json and OUT/resume.json. Workers are forks, so that torch is imported once."""

import json
import multiprocessing
import os
import shutil
import signal
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import nn
from trainings import meeting_place

from fireact_ray.core.errors import TrainingError
from fireact_ray.training.batching import Step, collate, plan_steps
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.loop import learning_rate, train
from fireact_ray.training.mapped.loading import load_dataset
from fireact_ray.training.sharding.base import Here
from fireact_ray.training.sharding.deepspeed_settings import import_deepspeed
from fireact_ray.training.sharding.zero3 import Zero3, load_zero3
from fireact_ray.training.stepping import Stepper


class Runs:
    def __init__(self, rank: int, base: str, data: Path, out: Path) -> None:
        self.data, self.out = data, out
        self.rows = load_dataset(data).rows
        self.here = Here(rank, 2, torch.device("cpu"))
        self.config = TrainConfig(
            base_model=base,
            sharding="zero3",
            precision="fp32",
            epochs=2,
            learning_rate=5e-3,
            weight_decay=0.1,
            max_grad_norm=0.5,
            global_batch_size=8,
            micro_batch_tokens=40,
            log_every_steps=1,
            checkpoint_every_steps=4,
            lora_dropout=0.0,
        )

    def losses(self, name: str, *, resume_from: Path | None = None, on_checkpoint=None, **settings) -> list[float]:
        losses: list[float] = []
        train(
            self.config.changed(**settings),
            self.data,
            self.out / name,
            on_log=lambda entry: losses.append(entry["loss"]),
            on_checkpoint=on_checkpoint,
            resume_from=resume_from,
        )
        return losses

    def train(self) -> dict:
        seen = {}
        for tuning in ("full", "lora"):
            for sharding in ("zero3", "ddp"):
                seen[f"{tuning} {sharding}"] = self.losses(f"{tuning}-{sharding}", tuning=tuning, sharding=sharding)
        seen["full bf16"] = self.losses("full-bf16", tuning="full", precision="bf16")
        return seen | self.parts() | self.as_on_a_gpu()

    def parts(self) -> dict:
        """Of a model after a step, and of torch itself."""
        linear, init = nn.functional.linear, nn.Module.__init__
        zero3 = load_zero3(self.config, self.here)
        self.take(zero3, self.config, self.steps()[:1])
        weights = list(zero3.prepared.model.parameters())
        return {
            "sizes": [weight.ds_numel for weight in weights],
            "parts": [(weight.ds_status.name, weight.numel(), weight.ds_tensor.numel()) for weight in weights],
            "torch is as before": nn.functional.linear is linear and nn.Module.__init__ is init,
        }

    def as_on_a_gpu(self) -> dict:
        """What is gathered is bf16, what is trained fp32 in host memory. At the end comes a loss that is no number."""
        config, steps = self.config.changed(tuning="full"), self.steps()
        zero3 = load_zero3(config, self.here, in_bf16=True, offloaded=True)
        dtypes = {str(weight.ds_tensor.dtype) for weight in zero3.prepared.model.parameters()}
        self.keep(zero3, "start")
        losses = self.take(zero3, config, steps[:4])
        if self.here.rank == 0:
            (self.out / "half").mkdir()
        dist.barrier()
        zero3.save(self.out / "half")
        losses += self.take(zero3, config, steps[4:])
        self.keep(zero3, "end")
        dist.barrier()
        again = load_zero3(config, self.here, in_bf16=True, offloaded=True)
        again.load(self.out / "half")
        seen = {"resumed in bf16": self.take(again, config, steps[4:])}
        self.keep(again, "end-again")
        again.backward(collate([[self.rows[0]]], varlen=True), float("nan"), bf16=True, last=True)
        try:
            again.update(1e-3, 1.0)
        except TrainingError as error:
            seen["refusal of nan"] = str(error)
        return {"dtypes": sorted(dtypes), "in bf16": losses, **seen}

    def steps(self) -> list[Step]:
        return list(plan_steps(self.rows.sizes, self.config, self.here.rank, 2, varlen=True))

    def take(self, zero3: Zero3, config: TrainConfig, steps: list[Step]) -> list[float]:
        stepper, losses = Stepper(zero3, self.rows, config, self.here), []
        for step in steps:
            sums, _ = stepper.take(stepper.ready(step), learning_rate(config, step.number, 6), bf16=True)
            loss = sums.sum()
            dist.all_reduce(loss)
            losses.append(float(loss) / step.trained_tokens)
        return losses

    def keep(self, zero3: Zero3, name: str) -> None:
        if (weights := zero3.trained_weights()) is not None:
            save_file(weights, self.out / f"{name}.safetensors")

    def killed(self) -> None:
        def die(path: Path | None, metrics: dict) -> None:
            dist.barrier()
            os.kill(os.getpid(), signal.SIGKILL)

        self.losses("killed", tuning="lora", on_checkpoint=die)

    def resume(self) -> dict:
        checkpoints = {
            "lora": self.out / "killed.checkpoints" / "step-00000004",
            "full": self.out / "full-zero3.checkpoints" / "step-00000004",
        }
        seen: dict = {
            f"{tuning} resumed": self.losses(f"{tuning}-resumed", tuning=tuning, resume_from=checkpoint)
            for tuning, checkpoint in checkpoints.items()
        }
        of_three = self.out / "of-three"
        if self.here.rank == 0:
            shutil.copytree(checkpoints["full"], of_three)
            for file in of_three.glob("*.pt"):
                file.rename(file.with_name(file.name.replace("of-00002", "of-00003")))
            card = of_three / "checkpoint.json"
            card.write_text(card.read_text().replace("of-00002", "of-00003"))
        dist.barrier()
        try:
            self.losses("never", tuning="full", resume_from=of_three)
        except TrainingError as error:
            seen["refusal of three"] = str(error)
        return seen


def work(rank: int, place: str, what: str) -> None:
    dist.init_process_group("gloo", place, rank=rank, world_size=2)
    base, data, out = sys.argv[1:]
    runs = Runs(rank, base, Path(data), Path(out))
    seen = getattr(runs, what)()
    if rank == 0:
        (runs.out / f"{what}.json").write_text(json.dumps(seen))
    if what == "train":
        runs.killed()
    dist.destroy_process_group()


if __name__ == "__main__":
    torch.set_num_threads(1)
    import_deepspeed(torch.device("cpu"))
    fork = multiprocessing.get_context("fork")
    for what, exit_code in (("train", -signal.SIGKILL), ("resume", 0)):
        with meeting_place() as place:
            workers = [fork.Process(target=work, args=(rank, place, what)) for rank in range(2)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
        assert [worker.exitcode for worker in workers] == [exit_code] * 2
