"""Prompt books: one YAML file per task, from which every method draws its instruction and its worked examples.

An example is written once, as a question with steps; ReAct shows it whole, CoT shows `reasoning`, IO only `answer`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources

import yaml

from fireact_ray.core import grammar
from fireact_ray.core.errors import InputError


@dataclass(frozen=True, slots=True)
class PromptExample:
    question: str
    transcript: str  # steps and observations in the ReAct grammar, ending with finish[...]
    reasoning: str
    answer: str


@dataclass(frozen=True, slots=True)
class PromptBook:
    instruction: str
    examples: tuple[PromptExample, ...]


@functools.cache
def prompt_book(task: str) -> PromptBook:
    """The book of `task`. Raises InputError for a task without one."""
    file = resources.files(__package__) / "books" / f"{task}.yaml"
    if not file.is_file():
        raise InputError(f"No prompt book for task '{task}': expected {file}.")
    data = yaml.safe_load(file.read_text(encoding="utf-8"))
    return PromptBook(data["instruction"].strip(), tuple(_example(e) for e in data["examples"]))


def system_prompt(book: PromptBook, reply_format: str, show: str) -> str:
    """Instruction, reply format and examples; `show`: what of an example, transcript, reasoning or answer."""
    examples = "\n\n".join(f"Question: {e.question}\n{_SHOW[show](e)}" for e in book.examples)
    return f"{book.instruction}\n\n{reply_format}\n\nExamples:\n\n{examples}"


_SHOW: dict[str, Callable[[PromptExample], str]] = {
    "transcript": lambda e: e.transcript,
    "reasoning": lambda e: f"Thought: {e.reasoning}\nAnswer: {e.answer}",
    "answer": lambda e: f"Answer: {e.answer}",
}


def _example(data: dict) -> PromptExample:
    lines = []
    for step in data["steps"]:
        parsed = grammar.parse(f"{grammar.THOUGHT} {step['thought']}\n{grammar.ACTION} {step['action']}")
        if parsed.action is None:
            raise ValueError(f"prompt example {data['question']!r}: not an action: {step['action']!r}")
        lines.append(grammar.render(parsed.thought, parsed.action))
        if "observation" in step:
            lines.append(f"{grammar.OBSERVATION} {step['observation']}")
    return PromptExample(data["question"], "\n".join(lines), data["reasoning"].strip(), str(data["answer"]))
