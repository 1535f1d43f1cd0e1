"""The demo: the whole job for real on the bundled almanac, ending with one HTTP question to the served agent."""

from __future__ import annotations

import logging

import openai
from rich.console import Console

from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.lease import run_lease
from fireact_ray.core.types import Question
from fireact_ray.core.utils.itinerary import Itinerary
from fireact_ray.evaluation.tables import comparison_markdown
from fireact_ray.recipe.schema import Recipe
from fireact_ray.stages.application import model_id
from fireact_ray.stages.pipeline import pipeline
from fireact_ray.stages.ray_session import ray_session
from fireact_ray.stages.serve import serving
from fireact_ray.stages.shared_folder import demand_mounted
from fireact_ray.tasks import load_questions

logger = logging.getLogger(__name__)


def demo(recipe: Recipe, itinerary: Itinerary) -> None:
    """Run all stages, ask the served agent one held-out question, print the table and the paths."""
    console = Console(soft_wrap=True, highlight=False)
    demand_mounted(recipe.output_dir)
    with run_lease(Folder(recipe.run_dir), "fireact demo"), ray_session(recipe.ray):
        reports = pipeline(recipe, itinerary)
        with itinerary.stage("serve"), serving(recipe) as url:
            question = load_questions(recipe.task.name, recipe.task.path, recipe.evaluate.split, 1)[0]
            _ask_over_http(recipe, url, question, console)
    console.print(f"\n{comparison_markdown(reports)}", markup=False)
    for name in ("trajectories", "dataset", "model", "evaluations"):
        console.print(f"{name:13} {recipe.run_dir}/{name}", markup=False)
    logger.info("%s; nothing is left running", itinerary.summary())


def _ask_over_http(recipe: Recipe, url: str, question: Question, console: Console) -> None:
    console.print(f"\nPOST {url}/v1/chat/completions\nQuestion: {question.text}", markup=False)
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none-needed") as client:
        reply = client.chat.completions.create(
            model=model_id(recipe, "finetuned"), messages=[{"role": "user", "content": question.text}], stream=True
        )
        answer = ""
        for chunk in reply:
            delta = chunk.choices[0].delta
            console.print(getattr(delta, "reasoning_content", None) or "", markup=False, end="")
            answer += delta.content or ""
    console.print(f"Answer: {answer or '(none)'}   (expected: {question.answers[0]})", markup=False)
