"""Recorded transcripts in other forms than the grammar's, and tools by other names or that no student has."""

import json

import pytest

from fireact_ray.core.calls import TOOLS, tool_names
from fireact_ray.core.errors import DataError, RecipeError
from fireact_ray.core.types import Action
from fireact_ray.data.examples import to_example
from fireact_ray.data.formats.importers import import_trajectories
from fireact_ray.data.formats.records import read_records
from fireact_ray.data.lint.base import Context
from fireact_ray.data.lint.lint import lint
from fireact_ray.data.selection.config import ConvertConfig
from fireact_ray.data.selection.selection import dropped_by, lines
from fireact_ray.recipe.loader import parse_recipe

ASK = "Which river is longer, the Ossel or the Prane?"
STEPS = [
    ("I look up the Ossel.", Action("search", "Ossel"), "The Ossel is 120 km long."),
    ("I look up the Prane.", Action("search", "Prane"), "The Prane is 90 km long."),
    ("The Ossel is longer.", Action("finish", "the Ossel"), None),
]
PAPER = """Thought 1: I look up the Ossel.
Action 1: Search[Ossel]
Observation 1: The Ossel is 120 km long.
Thought 2: I look up the Prane.
Action 2: Search[Prane]
Observation 2: The Prane is 90 km long.
Thought 3: The Ossel is longer.
Action 3: Finish[the Ossel]"""
BOLD = "\n".join(
    [
        *("**Thought:** I look up the Ossel.", "**Action:** search[Ossel]"),
        *(
            "**Observation:** The Ossel is 120 km long.",
            "**Thought:** I look up the Prane.",
            "**Action:** search[Prane]",
        ),
        *(
            "**Observation:** The Prane is 90 km long.",
            "**Thought:** The Ossel is longer.",
            "**Action:** finish[the Ossel]",
        ),
    ]
)
LOWER = (
    PAPER.lower().replace("ossel", "Ossel").replace("prane", "Prane").replace(": i ", ": I ").replace(": the", ": The")
)


def alpaca(output: str) -> dict:
    return {"instruction": ASK, "input": "", "output": output}


def chat(*turns: str) -> dict:
    roles = ["user", "assistant"] * 10
    return {"messages": [{"role": role, "content": text} for role, text in zip(roles, turns, strict=False)]}


def written(tmp_path, row: dict) -> str:
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    return str(tmp_path / "rows.jsonl")


def imported(tmp_path, row: dict, names=TOOLS):
    found = import_trajectories(written(tmp_path, row), "jsonl", names)
    assert found.rejections == ()
    return found.trajectories[0]


def codes(tmp_path, row: dict, names=TOOLS) -> set[str]:
    report = lint(read_records(written(tmp_path, row), names), Context())
    return {code for code, rows in report.rows.items() if rows} - {"unscored"}


def told(trajectory) -> list:
    return [(s.thought, s.action, s.observation and s.observation.text) for s in trajectory.steps]


@pytest.mark.parametrize("output", [PAPER, BOLD, LOWER, f"{PAPER}\nObservation: Episode finished, reward = 1"])
def test_a_transcript_in_a_form_of_its_own_is_cut_by_that_form(output, tmp_path):
    trajectory = imported(tmp_path, alpaca(output))
    assert told(trajectory) == STEPS
    assert trajectory.method == "react"
    assert all(step.repairs for step in trajectory.steps)
    assert codes(tmp_path, alpaca(output)) <= {"leaked_reward"}


def test_labels_of_another_form_within_an_observation_are_its_text(tmp_path):
    output = "Thought: a.\nAction: search[x]\nObservation: A page.\nObservation 1: Ice.\n**Action:** melt\n"
    trajectory = imported(tmp_path, alpaca(f"{output}Thought: b.\nAction: finish[Ice]"))
    assert trajectory.steps[0].observation.text == "A page. Observation 1: Ice. **Action:** melt".replace("n:", "n -")
    assert [step.repairs for step in trajectory.steps] == [(), ()]


def test_a_chat_in_the_papers_form_is_read(tmp_path):
    row = chat(
        ASK,
        *("Thought 1: I look up the Ossel.\nAction 1: Search[Ossel]", "Observation 1: The Ossel is 120 km long."),
        *("**Thought:** I look up the Prane.\n**Action:** Search[Prane]", "**Observation:** The Prane is 90 km long."),
        "Thought: The Ossel is longer.\nAction: Finish[the Ossel]",
    )
    assert told(imported(tmp_path, row)) == STEPS


def test_a_question_may_begin_with_an_observation_of_its_own(tmp_path):
    row = chat("Observation 1: Ice floats. Why?", "Thought: It is light.\nAction: finish[Density]")
    assert imported(tmp_path, row).question.text == "Observation 1: Ice floats. Why?"


def test_several_actions_in_other_forms_are_said_to_be_several(tmp_path):
    row = chat(ASK, "Thought 1: Both.\nAction 1: Search[Ossel]\nAction 1: Search[Prane]", "Observation: x", PAPER[-80:])
    (rejection,) = import_trajectories(written(tmp_path, row), "jsonl").rejections
    assert rejection.kind == "two_actions"
    assert codes(tmp_path, row) == {"two_actions", "unreadable"}


def test_an_observation_invented_under_another_label_is_found(tmp_path):
    row = chat(
        ASK, "Thought: a.\nAction: search[x]\nObservation 1: y", "Observation: z", "Thought: b.\nAction: finish[z]"
    )
    assert codes(tmp_path, row) == {"invented_observation"}


def test_the_same_query_by_two_spellings_is_the_same(tmp_path):
    row = chat(ASK, "Thought: a.\nAction: search[x]", "x", 'Thought: a.\n**Action:** Search("x")', "y", "b")
    assert "repeated_query" in codes(tmp_path, row)


CALLS = chat(ASK, "Thought: I look.\nAction: web-search[Ossel]", "Observation: 120 km, the Ossel.", PAPER[-56:])


def test_another_name_of_the_search_is_told_by_the_recipe(tmp_path):
    recipe = parse_recipe("r", "{name: x, search: {aliases: {web_search: search}}}")
    trajectory = imported(tmp_path, CALLS, recipe.search.names)
    assert trajectory.steps[0].action == Action("search", "Ossel")
    assert trajectory.steps[0].repairs == ("tool_name",)
    assert (trajectory.method, trajectory.n_searches) == ("react", 1)
    assert codes(tmp_path, CALLS, recipe.search.names) == set()
    # The row that was read without the name is another one: importing again brings this one in.
    assert trajectory.trajectory_id != imported(tmp_path, CALLS).trajectory_id


def test_a_tool_that_the_student_lacks_is_named_and_never_trained(tmp_path):
    trajectory = imported(tmp_path, CALLS)
    assert trajectory.steps[0].action == Action("web-search", "Ossel")
    assert trajectory.method == "react"
    assert codes(tmp_path, CALLS) == {"unknown_tool"}
    config = ConvertConfig(keep_unscored=True, drop=(), decontaminate=None)
    assert dropped_by(trajectory, lines(config)) == "unknown_tool"
    with pytest.raises(DataError, match="a tool that the student will not have"):
        to_example(trajectory)


def test_aliases_shape_rows_and_old_folders_know_none():
    plain = parse_recipe("r", "{name: x}").search
    named = parse_recipe("r", "{name: x, search: {aliases: {web_search: search, submit: finish}}}").search
    assert "aliases" not in plain.shaping()
    assert named.shaping()["aliases"] == {"web_search": "search", "submit": "finish"}
    assert plain.names == TOOLS
    assert named.names == tool_names({"web_search": "search", "submit": "finish"})


@pytest.mark.parametrize("aliases", ["{finish: search}", "{Search: finish}", "{'': search}", "{web: browse}"])
def test_an_alias_names_a_tool_and_no_other_tools_name(aliases):
    with pytest.raises(RecipeError, match=r"search\.aliases"):
        parse_recipe("r", f"{{name: x, search: {{aliases: {aliases}}}}}")
