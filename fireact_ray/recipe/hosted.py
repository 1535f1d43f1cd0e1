"""A student that a provider trains and serves: the client of its recipe, what it was trained into, and its agents."""

from __future__ import annotations

from datetime import date
from typing import Any
from urllib.parse import urlsplit

from fireact_ray.agent.models.dialects import read_values
from fireact_ray.agent.models.openai import OPENAI_URL
from fireact_ray.core.errors import InputError
from fireact_ray.core.paths import last_name
from fireact_ray.core.secrets import read_api_key
from fireact_ray.core.storage.artifacts import MANIFEST
from fireact_ray.core.storage.folder import Folder
from fireact_ray.recipe.api import ApiConfig
from fireact_ray.recipe.models import OpenAIModelConfig
from fireact_ray.recipe.schema import Recipe, TeacherConfig
from fireact_ray.recipe.students import HostedStudentConfig
from fireact_ray.recipe.teacher import TeacherAgents, instead
from fireact_ray.training.hosted.client import FineTuningApi
from fireact_ray.training.hosted.forecast import Estimate, closing_notice, demand_open, estimate, forecast_text
from fireact_ray.training.hosted.job import JobSettings

MODEL = "model.json"  # in the run's hosted/: what was trained, of what; written last


def hosted_student(recipe: Recipe) -> HostedStudentConfig:
    """Raises InputError where the student is a local one."""
    if not isinstance(recipe.student, HostedStudentConfig):
        raise InputError("student.kind: this recipe trains a local student; nothing of it is at a provider.")
    return recipe.student


def hosted_home(recipe: Recipe) -> Folder:
    """Where the run keeps what it knows of its training at the provider."""
    return Folder(recipe.run_dir) / "hosted"


def job_settings(recipe: Recipe) -> JobSettings:
    student = hosted_student(recipe)
    seed = None if "seed" in (student.leave_out or ()) else recipe.seed
    return JobSettings(
        student.name, student.n_epochs, student.batch_size, student.learning_rate_multiplier, student.suffix, seed
    )


def open_api(student: HostedStudentConfig) -> FineTuningApi:
    """Raises InputError naming the variable or file of a missing key."""
    asked_by = f"Fine-tuning '{student.name}'"
    key = read_api_key(student.api_key_env, student.api_key_file, asked_by)
    own = {student.key_header: key} if student.key_header else {"Authorization": f"Bearer {key}"}
    headers = {**own, **read_values(student.extra_headers or {}, asked_by)}
    query = read_values(student.extra_query or {}, asked_by)
    return FineTuningApi(base_url(student), headers, query=query, timeout_s=student.timeout_s)


def base_url(student: HostedStudentConfig) -> str:
    return student.base_url or OPENAI_URL


def host_of(student: HostedStudentConfig) -> str:
    return urlsplit(base_url(student)).netloc


def estimate_of(recipe: Recipe) -> Estimate:
    """From the dataset's manifest, where there is one."""
    dataset = Folder(recipe.run_dir) / "dataset"
    tokens = dataset.read_json(MANIFEST)["tokens"] if dataset.exists(MANIFEST) else None
    return estimate(job_settings(recipe), tokens, hosted_student(recipe).price_per_million_tokens)


def checked_text(recipe: Recipe, today: date) -> str:
    """What the training will take, for people. Raises InputError where the provider is known to take no such job."""
    student = hosted_student(recipe)
    host = host_of(student)
    demand_open(host, student.name, today)
    text = forecast_text(host, job_settings(recipe), estimate_of(recipe), last_name(student.tokenizer))
    notice = closing_notice(host)
    return text if notice is None else f"{text}\n{notice}"


def hosted_model(recipe: Recipe, system: str) -> str:
    """The name at the provider of `base` or `finetuned`. Raises InputError where no model was trained yet, or one of
    another base."""
    base = hosted_student(recipe).name
    if system == "base":
        return base
    home = hosted_home(recipe)
    if not home.exists(MODEL):
        raise InputError(f"{home.uri}: no fine-tuned model is known there. Run `fireact train` first.")
    card = home.read_json(MODEL)
    if card["base_model"] != base:
        raise InputError(
            f"{home.uri}: {card['model']} was trained of {card['base_model']}, the recipe's student.name is {base}. "
            "Restore it, or use another recipe name and train again."
        )
    return str(card["model"])


def hosted_agents(recipe: Recipe, system: str, method: str = "react") -> TeacherAgents:
    """The student's agent, by `method` over the provider's chat API: with examples for `base`, without for `finetuned`,
    whose turns are by ReAct those that it was trained on."""
    return TeacherAgents(as_teacher(recipe, hosted_model(recipe, system), method), few_shot=system == "base")


def as_teacher(recipe: Recipe, model: str, method: str = "react") -> Recipe:
    """The recipe with the hosted student in the teacher's place."""
    student = hosted_student(recipe)
    reached = student.model_dump(include=set(ApiConfig.model_fields))
    reflecting = {"reflect_every": recipe.teacher.reflect_every} if method == "reflexion" else {}
    teacher = TeacherConfig(
        model=OpenAIModelConfig(**{**reached, "kind": "openai", "name": model}),
        methods=(method,),
        sampling=student.sampling,
        limits=student.limits,
        quota=student.quota,
        **reflecting,
    )
    return instead(recipe, teacher)


def model_card(recipe: Recipe, **found: Any) -> dict[str, Any]:
    """What is kept of a trained model."""
    student = hosted_student(recipe)
    return {"kind": student.kind, "base_model": student.name, "provider": base_url(student), **found}
