"""The data's way on one question, without Ray: a trajectory, a training row with its mask, one optimizer step.

python examples/minimal.py        (no key, no GPU: a scripted teacher and the nano Llama)
"""

from __future__ import annotations

import asyncio

import numpy as np
import torch

from fireact_ray import TeacherAgents, Trajectory, load_recipe
from fireact_ray.core.paths import NANO_DIR
from fireact_ray.data.examples import to_example
from fireact_ray.recipe.search import open_backend
from fireact_ray.recipe.teacher import running_teacher
from fireact_ray.rendering import make_renderer
from fireact_ray.rendering.tokenizer import HubTokenizer
from fireact_ray.tasks import load_questions
from fireact_ray.training.batching import collate
from fireact_ray.training.data import Row
from fireact_ray.training.loss import TrainedTokenLoss
from fireact_ray.training.model import load_base


def main() -> None:
    recipe = load_recipe("demo", ["teacher.methods=[react]"])
    (question,) = load_questions("almanac", None, "train", 1)

    async def ask() -> Trajectory:
        with running_teacher(recipe) as reachable:
            agent = TeacherAgents(reachable)(open_backend(recipe.search))["react"]
            try:
                return await agent.run(question)
            finally:
                await agent.close()

    trajectory = asyncio.run(ask())
    print(f"{question.text} -> {trajectory.answer} ({trajectory.stop_reason}, {trajectory.score})")

    tokenizer = HubTokenizer.load(str(NANO_DIR))
    rendered = make_renderer("plain", tokenizer).render(to_example(trajectory))
    ids, mask = np.array(rendered.input_ids, np.int32), np.array(rendered.loss_mask, np.int8)
    print(f"{len(ids)} tokens, {mask.sum()} of them trained (mask 1)")

    model = load_base(NANO_DIR)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    batch = collate([[Row(trajectory.trajectory_id, ids, mask)]])
    for step in ("before", "after one step"):
        loss_sum, n_trained = TrainedTokenLoss(model)(*batch)
        loss = loss_sum / n_trained
        print(f"{step}: {loss.item():.3f} nats per trained token")
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()


if __name__ == "__main__":
    main()
