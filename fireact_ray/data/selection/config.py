"""The `convert` section of a recipe. Its lines are applied from top to bottom; `selection` makes filters of them."""

from __future__ import annotations

from collections.abc import Container
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, PositiveInt

from fireact_ray.agent.methods import METHODS
from fireact_ray.core.settings import Place, Rate, Section, check_name, one_of
from fireact_ray.data.selection import mixing
from fireact_ray.tasks import TASKS

# The others have a line of their own, or must never be trained on anyway.
DROPPABLE = (
    "no_search",
    "answer_unseen",
    "gave_up",
    "no_thought",
    "two_actions",
    "invented_observation",
    "repeated_query",
    "error_observation",
    "leaked_method",
)


def _as_mix(value: Any) -> Any:
    """A list of names stands for all of these."""
    return dict.fromkeys(value) if isinstance(value, (list, tuple)) else value


def _is_mix(mix: dict[str, float | None]) -> dict[str, float | None]:
    numbers = [number for number in mix.values() if number is not None]
    if not mix:
        raise ValueError("name at least one, or set null for all")
    if not mixing.is_shares(mix) and any(number < 1 or number != int(number) for number in numbers):
        raise ValueError("give shares that add up to 1, or whole numbers of rows, or a list of names")
    return mix if mixing.is_shares(mix) else {name: most and int(most) for name, most in mix.items()}


def _keys_of(what: str, known: Container[str]) -> AfterValidator:
    check = check_name(what, known)

    def checked(mix: dict[str, float | None]) -> dict[str, float | None]:
        return _is_mix({check(name): number for name, number in mix.items()})

    return AfterValidator(checked)


MethodMix = Annotated[dict[str, float | None], BeforeValidator(_as_mix), _keys_of("method", METHODS)]
TaskMix = Annotated[dict[str, float | None], BeforeValidator(_as_mix), _keys_of("task", TASKS)]
KindMix = Annotated[dict[str, float | None], BeforeValidator(_as_mix), AfterValidator(_is_mix)]
RuleCode = Annotated[str, one_of("lint rule to drop rows by", DROPPABLE)]


class QuestionSet(Section):
    """A task's questions: those of `split` in the file or folder `path`."""

    task: Annotated[str, one_of("task", TASKS)]
    path: Place | None = None
    split: str = "dev"


class ConvertConfig(Section):
    """Which trajectories become training rows. What has no finish, a wrong answer, an unusable reply or a trace of its
    method never does; equal conversations count once.

    `min_f1`: right is an F1 of at least this, null: an exact match. `keep_unscored`: rows whose answer nobody knows.
    `drop`: lint rules (docs/data.md) whose rows are left out. `decontaminate`: how alike a question may not be to one
    of evaluate.split or `decontaminate_against` (Jaccard index of words; 1: the same words; null: not compared); nor
    may one of them stand inside it.

    Rows longer than `max_length` tokens are dropped and counted, never cut; what follows chooses among the rest.
    `near_duplicates`: how alike a row may not be to another (Jaccard index of its runs of three words; null: equal rows
    only).
    `methods`, `tasks`, `kinds`: a list of names (only these), shares that add up to 1, or numbers of rows at most;
    null: all. Kinds of questions are the task's own, such as bridge and comparison of hotpotqa. A share of which there
    is no row is an error; where there are fewer rows than a number, or none of a name, that is said.
    `n`: so many rows, the first of an order by recipe.seed, so that a smaller n's rows are among a larger one's.
    `sources`: the folders of runs, or of evaluations within (runs/x/evaluations/base), whose trajectories are read
    instead of this run's own.
    """

    min_f1: Rate | None = None
    keep_unscored: bool = False
    drop: tuple[RuleCode, ...] = ("error_observation", "no_thought")
    min_steps: PositiveInt = 1
    max_steps: PositiveInt | None = None
    decontaminate: Rate | None = 0.9
    decontaminate_against: tuple[QuestionSet, ...] = ()
    max_length: PositiveInt = 2048
    near_duplicates: Rate | None = None
    per_question: Literal["all", "first", "shortest"] = "all"
    methods: MethodMix | None = None
    tasks: TaskMix | None = None
    kinds: KindMix | None = None
    n: PositiveInt | None = None
    sources: tuple[Place, ...] = ()
