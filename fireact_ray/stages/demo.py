"""The demo: the whole job for real on the bundled almanac, ending with questions over HTTP to both served agents."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import openai
from rich.console import Console
from rich.table import Table

from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.lease import run_lease
from fireact_ray.core.types import Question
from fireact_ray.core.utils.itinerary import Itinerary
from fireact_ray.evaluation.tables import comparison_markdown, kinds_markdown
from fireact_ray.recipe.schema import Recipe
from fireact_ray.stages.application import model_id
from fireact_ray.stages.pipeline import pipeline
from fireact_ray.stages.ray_session import ray_session
from fireact_ray.stages.serve import serving
from fireact_ray.stages.shared_folder import demand_placed
from fireact_ray.tasks import load_questions

_KINDS = ("2hop", "comparison", "yesno")  # of which the first held-out question each is asked
_WIDTH = 150  # of a log, where there is no terminal to fit

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answered:
    """What came over HTTP: the steps as text, and the answer."""

    steps: str
    answer: str


def demo(recipe: Recipe, itinerary: Itinerary) -> None:
    """Run all stages, ask both served agents held-out questions, print the tables and the paths."""
    console = Console(soft_wrap=True, highlight=False)
    demand_placed(recipe.output_dir, "fireact train")
    systems = [entry.name for entry in recipe.serve.systems]
    with run_lease(Folder(recipe.run_dir), "fireact demo"), ray_session(recipe.ray):
        reports = pipeline(recipe, itinerary)
        with itinerary.stage("serve"), serving(recipe) as url:
            questions = asked(load_questions(recipe.task.name, recipe.task.path, recipe.evaluate.split))
            answers = asyncio.run(_ask_all(url, [model_id(recipe, system) for system in systems], questions))
    _show_answers(systems, questions, answers)
    for table in (kinds_markdown(reports), comparison_markdown(reports)):
        console.print(f"\n{table}", markup=False)
    for name in ("trajectories", "dataset", "model", "evaluations"):
        console.print(f"{name:13} {recipe.run_dir}/{name}", markup=False)
    logger.info("%s; nothing is left running", itinerary.summary())


def asked(held_out: Sequence[Question]) -> list[Question]:
    """The first question of each kind that is shown; the very first where there is none of these kinds."""
    firsts = {question.kind: question for question in reversed(held_out)}
    return [firsts[kind] for kind in _KINDS if kind in firsts] or list(held_out[:1])


async def _ask_all(url: str, models: Sequence[str], questions: Sequence[Question]) -> list[list[Answered]]:
    """By question, and by model."""
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none-needed") as client:
        asking = [[_ask(client, model, question.text) for model in models] for question in questions]
        return await asyncio.gather(*(asyncio.gather(*of_question) for of_question in asking))


async def _ask(client: openai.AsyncOpenAI, model: str, question: str) -> Answered:
    reply = await client.chat.completions.create(model=model, messages=[{"role": "user", "content": question}])
    message = reply.choices[0].message
    return Answered(getattr(message, "reasoning_content", None) or "", message.content or "")


def _show_answers(systems: Sequence[str], questions: Sequence[Question], answers: Sequence[Sequence[Answered]]) -> None:
    terminal = Console(highlight=False, markup=False)  # search[...] is no markup
    console = terminal if terminal.is_terminal else Console(highlight=False, markup=False, width=_WIDTH)
    for question, of_question in zip(questions, answers, strict=True):
        table = Table(title=f"{question.kind}: {question.text}", title_justify="left", caption_justify="left")
        table.caption = f"expected: {question.answers[0]}"
        for system in systems:
            table.add_column(system, ratio=1, overflow="fold")
        table.add_row(*(one.steps.strip() for one in of_question))
        table.add_section()
        table.add_row(*(f"Answer: {one.answer or '(none)'}" for one in of_question))
        console.print(table)
