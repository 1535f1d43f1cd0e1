"""Tasks by name. A new one is a file with a `Task` and a line in `TASKS`."""

from fireact_ray.core.errors import InputError
from fireact_ray.core.types import Question
from fireact_ray.core.utils.text import nearest
from fireact_ray.tasks.almanac import ALMANAC
from fireact_ray.tasks.bamboogle import BAMBOOGLE
from fireact_ray.tasks.base import Task
from fireact_ray.tasks.hotpotqa import HOTPOTQA
from fireact_ray.tasks.jsonl import JSONL
from fireact_ray.tasks.judging import JUDGE
from fireact_ray.tasks.mmlu import MMLU
from fireact_ray.tasks.strategyqa import STRATEGYQA

TASKS: dict[str, Task] = {
    "almanac": ALMANAC,
    "bamboogle": BAMBOOGLE,
    "hotpotqa": HOTPOTQA,
    "jsonl": JSONL,
    "judge": JUDGE,
    "mmlu": MMLU,
    "strategyqa": STRATEGYQA,
}


def get_task(name: str) -> Task:
    """The task `name`. Raises InputError with the nearest known name."""
    if name in TASKS:
        return TASKS[name]
    near = nearest(name, TASKS)
    hint = f" Did you mean '{near}'?" if near else ""
    raise InputError(f"Unknown task '{name}'.{hint} Known: {', '.join(TASKS)}.")


def load_questions(task: Task | str, path: str | None, split: str, n_questions: int | None = None) -> list[Question]:
    """The first `n_questions` of a task (all where None, fewer where it has fewer). Raises InputError."""
    found = task if isinstance(task, Task) else get_task(task)
    return found.load(path, split)[:n_questions]
