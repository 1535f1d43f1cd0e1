"""The teacher's calls of a run under one quota and one budget, wherever in the cluster they are made."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import urlsplit

import ray

from fireact_ray.agent.agent import AgentBuilder
from fireact_ray.agent.models.openai import OPENAI_URL
from fireact_ray.agent.quota.budget import Account
from fireact_ray.core.storage.folder import Folder
from fireact_ray.recipe.schema import OpenAIModelConfig, Recipe
from fireact_ray.recipe.teacher import TeacherAgents, teacher_limits, teacher_price
from fireact_ray.stages.actors.quota import open_quota


@contextmanager
def shared_quota(builder: AgentBuilder) -> Iterator[AgentBuilder]:
    """The same agents, a teacher's sharing one quota actor: a provider counts all workers' calls as one account's.

    Local students have no quota.
    """
    if not isinstance(builder, TeacherAgents) or not isinstance(builder.recipe.teacher.model, OpenAIModelConfig):
        yield builder
        return
    recipe, model = builder.recipe, builder.recipe.teacher.model
    where = urlsplit(model.base_url or OPENAI_URL)
    name = f"quota:{where.netloc}{where.path}:{model.name}"
    with open_quota(name, teacher_limits(recipe), account_of(recipe)) as quota:
        yield replace(builder, quota=quota)


def account_of(recipe: Recipe) -> Account:
    """One for the whole run: what the teacher has spent on generating and on being evaluated."""
    run = Folder(recipe.run_dir)
    journals = [run / "journal", run / "evaluations" / "teacher" / "journal"]
    return Account(
        run=_known_everywhere(run),
        limits=recipe.generate.budget.limits,
        price=teacher_price(recipe),
        journals=tuple(_known_everywhere(folder) for folder in journals),
        started_at=time.time(),
        job=ray.get_runtime_context().get_job_id(),
    )


def _known_everywhere(folder: Folder) -> str:
    """The quota's actor may have another working folder."""
    return str(folder.local_path) if folder.is_local else folder.uri
