"""Which rows are left out, each looked at by itself or beside others that say the same."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import ByteTokenizer

from fireact_ray.core.errors import RecipeError
from fireact_ray.core.storage.rows import to_table
from fireact_ray.core.types import Action, Observation, ObservationStatus, Question, Score, Step, StopReason, Trajectory
from fireact_ray.data.dataset.prepare import prepare
from fireact_ray.data.examples import to_example
from fireact_ray.data.formats.importers import import_trajectories
from fireact_ray.data.formats.records import record_of
from fireact_ray.data.lint import RULES
from fireact_ray.data.lint.base import Context
from fireact_ray.data.selection.candidates import candidates
from fireact_ray.data.selection.config import DROPPABLE, ConvertConfig
from fireact_ray.data.selection.selection import choose, lines
from fireact_ray.recipe.loader import load_recipe, to_yaml
from fireact_ray.rendering import make_renderer

pytestmark = pytest.mark.slow

RELEASED = Path(__file__).parents[4] / "shared/data/fireact/finetune"

LOOK = Step("I look.", Action("search", "Tarn"), Observation("Lake Tarn lies in the north and is 410 m deep."))
DONE = Step("It says so.", Action("finish", "410 m"), None)
GOOD = Trajectory(
    "good",
    Question("jsonl", "q", "How deep is Tarn?", ("410 m",)),
    "react",
    "m",
    0,
    (LOOK, DONE),
    StopReason.FINISHED,
    Score(1.0, 1.0),
)
ERROR = replace(LOOK, observation=Observation("The search is unavailable right now.", ObservationStatus.ERROR))
EMPTY = replace(LOOK, observation=Observation("No results found.", ObservationStatus.EMPTY))


RENDERER = make_renderer("plain", ByteTokenizer())


def select(
    rows: list[Trajectory], config: ConvertConfig, evaluation: Sequence[str] = ()
) -> tuple[set[str], Counter[str]]:
    """Keys of what is trained on, and how many rows each line left out."""
    table = to_table(rows)
    prepared = prepare(table, lines(config, evaluation), config, RENDERER)
    chosen, report, _ = choose(candidates(prepared), config, seed=0)
    dropped = Counter(prepared["dropped"].drop_null().to_pylist()) + Counter(report.dropped)
    assert len(rows) == len(chosen) + dropped.total()
    return {row.trajectory_id for row in chosen}, dropped


def dropped(rows: list[Trajectory], *evaluation: str, **settings) -> dict[str, int]:
    return dict(select(rows, ConvertConfig(**settings), evaluation)[1])


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"stop_reason": StopReason.MAX_STEPS, "steps": (LOOK,)}, "unfinished"),
        ({"score": Score(0.0, 0.8)}, "wrong_answer"),
        ({"score": None}, "unscored"),
        ({"steps": (replace(LOOK, action=None), DONE)}, "no_action"),
        ({"steps": (LOOK, replace(DONE, action=Action("finish", "410 m, reward = True")))}, "trace"),
        ({"steps": (replace(LOOK, thought="<think> I look. </think>"), DONE)}, "hidden_reasoning"),
        ({"steps": (replace(LOOK, completion="Hm.\n</think>\nAction: search[Tarn]"), DONE)}, "hidden_reasoning"),
        ({"steps": (ERROR, DONE)}, "error_observation"),
        ({"steps": (LOOK, replace(DONE, thought=""))}, "no_thought"),
        ({"steps": (LOOK, replace(DONE, thought="I haven't solved the task within 5 steps."))}, "no_thought"),
    ],
)
def test_what_is_dropped_by_default(change, name):
    assert dropped([GOOD, replace(GOOD, **change)]) == {name: 1}


def test_a_search_that_found_nothing_is_a_fair_observation():
    assert dropped([replace(GOOD, steps=(EMPTY, DONE))]) == {}


@pytest.mark.parametrize(
    ("settings", "change", "name"),
    [
        ({"drop": ["no_search"]}, {"steps": (DONE,)}, "no_search"),
        ({"drop": ["answer_unseen"]}, {"steps": (EMPTY, DONE)}, "answer_unseen"),
        ({"drop": ["repeated_query"]}, {"steps": (EMPTY, LOOK, DONE)}, "repeated_query"),
        (
            {"drop": ["two_actions"]},
            {"steps": (replace(LOOK, completion="Action: search[Tarn], search[Ulm]"), DONE)},
            "two_actions",
        ),
        ({"min_steps": 2}, {"steps": (DONE,)}, "min_steps"),
        ({"max_steps": 2}, {"steps": (EMPTY, LOOK, DONE)}, "max_steps"),
        ({"min_f1": 0.8}, {"score": Score(0.0, 0.7)}, "wrong_answer"),
    ],
)
def test_what_a_line_of_the_recipe_drops_and_else_is_kept(settings, change, name):
    changed = replace(GOOD, question=replace(GOOD.question, text="What is the depth of Tarn?"), **change)
    assert dropped([GOOD, changed], **settings) == {name: 1}
    if name != "wrong_answer":
        assert dropped([GOOD, changed]) == {}


def test_nearly_right_and_unscored_rows_can_be_asked_for():
    assert dropped([replace(GOOD, score=Score(0.0, 0.8))], min_f1=0.8) == {}
    assert dropped([replace(GOOD, score=None)], keep_unscored=True) == {}


def test_questions_of_the_evaluation_are_dropped_as_nearly_as_the_recipe_says():
    other = replace(GOOD, question=replace(GOOD.question, text="How deep is the Ulm, in metres?"))
    assert dropped([GOOD, other], "how deep is TARN") == {"contaminated": 1}
    assert dropped([GOOD, other], "How deep is Ulm, in metres or feet?", decontaminate=0.6) == {"contaminated": 1}
    assert dropped([GOOD, other], "How deep is Ulm, in metres or feet?") == {}
    assert dropped([GOOD, other], "How deep is Tarn?", decontaminate=None) == {}


def test_a_conversation_is_kept_once_whoever_had_it():
    reflected = replace(LOOK, thought="Now let me do a reflection. I look.")
    same = replace(GOOD, trajectory_id="same", method="reflexion", steps=(reflected, DONE))
    asked_otherwise = replace(GOOD, question=replace(GOOD.question, text="What is the depth of Tarn?"))
    assert dropped([GOOD, GOOD, same, asked_otherwise]) == {"duplicate": 2}


def test_nearly_equal_conversations_are_kept_once_where_the_recipe_says_so():
    near = replace(GOOD, steps=(LOOK, replace(DONE, thought="It really says so.")))
    assert dropped([GOOD, near]) == {}
    assert dropped([GOOD, near], near_duplicates=0.6) == {"near_duplicate": 1}


def test_a_row_counts_for_the_first_line_that_drops_it():
    wrong_and_unfinished = replace(GOOD, score=Score(0.0, 0.0), stop_reason=StopReason.MAX_STEPS, steps=(ERROR,))
    assert dropped([wrong_and_unfinished]) == {"unfinished": 1}
    assert list(lines(ConvertConfig())) == [
        *("unfinished", "wrong_answer", "no_action", "unknown_tool", "trace", "hidden_reasoning", "unscored"),
        *("error_observation", "no_thought", "min_steps", "contaminated"),
    ]


def test_too_long_is_more_tokens_than_the_limit():
    """One token a byte, and one that ends each of the two replies."""
    text = "Question: How deep is Tarn?\nThought: I look.\nAction: search[Tarn]"
    text += "\nObservation: Lake Tarn lies in the north and is 410 m deep.\nThought: It says so.\nAction: finish[410 m]"
    assert dropped([GOOD], max_length=len(text) + 2) == {}
    assert dropped([GOOD], max_length=len(text) + 1) == {"too_long": 1}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("methods=[reakt]", "convert.methods: unknown method; known: cot, io, react, reflexion"),
        ("methods={react: 0.5}", "shares that add up to 1, or whole numbers of rows"),
        ("methods={react: 2.5}", "shares that add up to 1, or whole numbers of rows"),
        ("tasks=[]", "convert.tasks: name at least one"),
        ("drop=[no_thoughts]", "Did you mean 'no_thought'?"),
        ("drop=[wrong_answer]", "unknown lint rule to drop rows by"),
        ("per_question=longest", "expected one of all, first, shortest"),
        ("min_f1=80", "less than or equal to 1"),
    ],
)
def test_a_line_that_makes_no_sense_is_refused_by_name(line, message):
    with pytest.raises(RecipeError) as caught:
        load_recipe("demo", [f"convert.{line}"])
    assert message in str(caught.value)


def test_quotas_can_be_written_in_three_ways_and_survive_the_run_folder(tmp_path):
    for line in ("[react, cot]", "{react: 0.25, cot: 0.75}", "{react: 300, cot: null}"):
        recipe = load_recipe("demo", [f"convert.methods={line}"])
        (tmp_path / "r.yaml").write_text(to_yaml(recipe))
        assert load_recipe(str(tmp_path / "r.yaml")) == recipe
    assert recipe.convert.methods == {"react": 300, "cot": None}


def test_what_can_be_dropped_are_rules_that_look_at_a_row_as_it_was_received():
    records = [record_of(GOOD, 1)]
    assert {code: list(RULES[code].check(records, Context())) for code in DROPPABLE} == {code: [] for code in DROPPABLE}


@pytest.mark.skipif(not RELEASED.is_dir(), reason="FireAct's released data is not at ../shared/data")
def test_of_fireacts_rows_the_true_ones_are_kept_and_none_tells_its_method():
    rows = import_trajectories(RELEASED / "hotpotqa_multimethod_alpaca.json").trajectories
    keys, dropped = select(rows, ConvertConfig(max_length=10_000))
    assert (len(rows), len(keys)) == (734, 692)
    assert dropped == {"wrong_answer": 40, "no_thought": 2}
    kept = [row for row in rows if row.trajectory_id in keys]
    assert {row.method for row in kept} == {"react", "cot", "reflexion"}
    for example in map(to_example, kept):
        replies = [turn.content for turn in example if turn.role == "assistant"]
        assert all(reply.startswith("Thought: ") and reply.count("\nAction: ") == 1 for reply in replies)
        said = " ".join(turn.content for turn in example).lower()
        for trace in ("reward =", "episode finished", "do a reflection", "solved the task", "step limit", "wrap up"):
            assert trace not in said


@pytest.mark.skipif(not RELEASED.is_dir(), reason="FireAct's released data is not at ../shared/data")
@pytest.mark.parametrize(
    ("file", "n_in", "n_kept"),
    [
        ("hotpotqa_alpaca.json", 500, 500),
        ("hotpotqa_chat.jsonl", 500, 500),
        ("hotpotqa_multimethod_alpaca.json", 734, 692),
        ("hotpotqa_multimethod_chat.jsonl", 733, 692),
    ],
)
def test_of_each_of_fireacts_files_every_row_is_kept_or_counted_as_dropped(file, n_in, n_kept):
    rows = list(import_trajectories(RELEASED / file).trajectories)
    every_line = ConvertConfig(drop=DROPPABLE, max_length=1500, near_duplicates=0.7, per_question="shortest", n=100)
    keys, dropped = select(rows, every_line)
    assert (len(rows), len(keys), len(rows) - dropped.total()) == (n_in, 100, 100)
    assert len(select(rows, ConvertConfig(max_length=10_000))[0]) == n_kept
