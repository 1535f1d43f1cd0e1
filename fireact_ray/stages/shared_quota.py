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
from fireact_ray.core.storage.artifacts import INPUTS, read_inputs
from fireact_ray.core.storage.folder import Folder
from fireact_ray.demo.teacher.protocol import MODEL_NAME as SCRIPTED_NAME
from fireact_ray.recipe.models import OpenAIModelConfig
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.teacher import TeacherAgents, teacher_limits, teacher_name, teacher_price
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
    """One for each model of a run, or of all runs that share a budget: what it has spent on generating and on being
    evaluated, in whatever systems."""
    run = Folder(recipe.run_dir)
    return Account(
        run=_known_everywhere(run),
        limits=recipe.generate.budget.limits,
        price=teacher_price(recipe),
        journals=tuple(_known_everywhere(folder) for folder in journals_of(recipe)),
        started_at=time.time(),
        job=ray.get_runtime_context().get_job_id(),
    )


def journals_of(recipe: Recipe) -> list[Folder]:
    """The journals that hold calls of the recipe's teacher, found by what lies beside them: of the run, or of all runs
    that share its budget."""
    run, model, over = Folder(recipe.run_dir), teacher_name(recipe.teacher.model), recipe.generate.budget.over
    homes = [run, *(run / "evaluations" / name for name in _evaluated(run))]
    if over is not None:
        homes = [run, *(home for home in _below(Folder(over)) if home.uri != run.uri)]
    return [home / "journal" for home in homes if _asked_in(home) in (None, model)]


def _evaluated(run: Folder) -> list[str]:
    found = (file.name.split("/") for file in (run / "evaluations").files_below(INPUTS))
    return [name for name, *inside in found if inside == ["trajectories", INPUTS]]


def _below(folder: Folder) -> list[Folder]:
    """Every folder that holds trajectories and, beside them, a journal."""
    names = (file.name.removesuffix(f"/trajectories/{INPUTS}") for file in folder.files_below(INPUTS))
    return [folder / name for name in names if not name.endswith(INPUTS)]


def _asked_in(home: Folder) -> str | None:
    """The name of the API's model that made a folder's rows; "" where none did, None where nothing is known yet."""
    inputs = read_inputs(home / "trajectories")
    if not inputs:
        return None
    models = [section["model"] for section in inputs.values() if isinstance(section, dict) and "model" in section]
    names = [SCRIPTED_NAME if model.get("kind") == "scripted" else model["name"] for model in models]
    return str(names[0]) if names else ""


def _known_everywhere(folder: Folder) -> str:
    """The quota's actor may have another working folder."""
    return folder.place
