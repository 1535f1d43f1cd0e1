"""Systems in, what their page holds out."""

from dataclasses import replace

import pytest
from viewing import CLEAN, WHOLE, records, row, system

from fireact_ray.core.types import STEPS_UNTOLD, Observation, ObservationStatus, Question, Step, StopReason
from fireact_ray.data.formats.messages import Message
from fireact_ray.data.formats.records import Record, record_of
from fireact_ray.evaluation.viewer.page import build_page
from fireact_ray.evaluation.viewer.rows import Verdict, body, facts, verdict_of
from fireact_ray.evaluation.viewer.trained import TrainedRow

UNREADABLE = Record(3, (Message("user", "How deep?"), Message("assistant", "It is.")), None, "no_steps: no label")


@pytest.mark.parametrize(
    ("trajectory", "verdict"),
    [
        (row("a", "q"), "right"),
        (row("a", "q", 0.0), "wrong"),
        (row("a", "q", None), "unscored"),
        (row("a", "q", None, steps=(), stop_reason=StopReason.MAX_STEPS), "wrong"),
        (row("a", "q", float("nan")), "wrong"),
    ],
)
def test_an_episode_without_an_answer_to_a_known_question_is_wrong(trajectory, verdict):
    assert verdict_of(record_of(trajectory, 1)) == verdict


def test_nobody_knows_whether_an_unfinished_row_without_gold_is_wrong():
    without = replace(row("a", "q", None, steps=()), question=Question("t", "i", "q", ()))
    assert verdict_of(record_of(without, 1)) == Verdict.UNSCORED


def test_the_facts_of_a_row_are_its_columns():
    assert facts(record_of(row("a", "q", kind="2hop"), 7), str, ["no_search"], TrainedRow(40, 12)) == {
        "key": "a",
        "row": 7,
        "verdict": "right",
        "lint": ["no_search"],
        "trained": 12,
        "em": 1.0,
        "f1": 1.0,
        "kind": "2hop",
        "task": "jsonl",
        "method": "react",
        "stop": "finished",
        "answer": "Ila Dun",
        "steps": 2,
        "searches": 1,
        "seconds": 0.85,
        "tokens": 10,
        "cost": 0.25,
    }


def test_what_nobody_measured_is_unknown_and_not_zero():
    step = Step("t", CLEAN.steps[-1].action, None)
    unknown = facts(record_of(row("a", "q", None, steps=(step,), cost_usd=None), 1), str, [], None)
    assert {name for name, value in unknown.items() if value is None} == {
        "trained", "em", "f1", "seconds", "tokens", "cost",
    }  # fmt: skip
    assert body(record_of(row("a", "q", steps=(step,)), 1), str, None)["steps"] == [
        {"thought": "t", "tool": "finish", "argument": "Ila Dun"}
    ]


def test_steps_and_searches_that_a_served_agent_did_not_tell_are_unknown():
    told = row("a", "one")
    untold = row("b", "two", steps=(replace(CLEAN.steps[-1], repairs=(STEPS_UNTOLD,)),))
    page = build_page("run", [system("live", told, untold)])
    assert page.index["columns"]["steps"] == [len(CLEAN.steps), None]
    assert page.index["columns"]["searches"] == [told.n_searches, None]
    assert page.index["systems"][0]["steps"] == len(CLEAN.steps)


def test_what_is_no_number_is_unknown_too():
    odd = row("a", "q", float("nan"), cost_usd=float("inf"))
    assert {facts(record_of(odd, 1), str, [], None)[name] for name in ("em", "f1", "cost")} == {None}
    assert build_page("x", [system("x", odd)]).index["systems"][0]["cost"] is None


def test_a_card_holds_the_whole_episode_and_replies_that_were_not_used_as_they_came():
    found = body(
        record_of(replace(WHOLE, error="Timeout: 600 s"), 1), str, TrainedRow(5, 2, (("a", False), ("b", True)))
    )
    assert found["steps"][0] == {"thought": "hm", "received": "hm", "observation": "invalid", "status": "error"}
    assert found["steps"][1] == {
        "thought": "t",
        "tool": "search",
        "argument": "q [1]",
        "received": "raw",
        "observation": "o",
        "status": "ok",
        "model_s": 0.5,
        "tool_s": 0.1,
        "prompt": 3,
        "completion": 2,
    }
    assert (found["expected"], found["model"], found["error"]) == (["Ila Dun"], "m", "Timeout: 600 s")
    assert (found["length"], found["pieces"]) == (5, [["a", 0], ["b", 1]])


def test_a_row_that_cannot_be_read_is_shown_as_it_is_written_and_counted():
    page = build_page(
        "x", [replace(system("x", row("a", "q")), records=[*records(row("a", "q")), UNREADABLE], n_rows=2)]
    )
    assert page.index["columns"]["verdict"] == ["right", "unreadable"]
    assert page.bodies[1] == {
        "fault": "no_steps: no label",
        "turns": [["user", "How deep?"], ["assistant", "It is."]],
    }
    assert page.index["notes"] == ["x: 1 row without a readable trajectory (no_steps 1), shown as written."]
    assert page.summary[0] == "x: 2 rows, 1 right, 1 unreadable"


def test_two_systems_of_a_run_stand_side_by_side_and_unlike_ones_do_not():
    base = system("base", row("b1", "one", 0.0), row("b2", "two", 1.0))
    finetuned = system("finetuned", row("f1", " one"), row("f2", "two", 0.0), row("f3", "three"))
    teacher = system("trajectories", row("t1", "other"))
    page = build_page("run", [teacher, base, finetuned])
    assert page.index["pairs"] == {"1-2": [[1, 3, "fixed"], [2, 4, "broke"], [None, 5, "only second"]]}
    assert page.index["open"] == [1, 2]
    assert page.index["questions"] == ["other", "one", "two", "three"]
    assert page.summary == [
        "trajectories: 1 row, 1 right",
        "base: 2 rows, 1 right, 1 wrong",
        "finetuned: 3 rows, 2 right, 1 wrong",
        "finetuned against base: 1 fixed, 1 broke, 1 only second",
    ]


def test_systems_of_two_runs_are_told_apart_by_their_run():
    page = build_page("a and b", [system("base", row("1", "q"), run="a"), system("base", row("2", "q"), run="b")])
    assert [about["name"] for about in page.index["systems"]] == ["a/base", "b/base"]


def test_a_system_is_summed_up_by_what_is_known():
    step = replace(CLEAN.steps[0], model_latency_s=0.0, tool_latency_s=0.0)
    about = build_page("x", [system("x", row("a", "q"), row("b", "r", 0.0, steps=(step,), cost_usd=None))]).index[
        "systems"
    ]
    assert about[0]["right"] == 0.5
    assert about[0]["seconds"] == 0.85
    assert about[0]["steps"] == 1.5
    assert about[0]["cost"] is None  # a part of a bill is no bill


def test_lint_finds_are_on_their_rows_with_their_reason():
    fault = replace(CLEAN.steps[0], observation=Observation("down", ObservationStatus.ERROR))
    page = build_page("x", [system("x", row("a", "q"), row("b", "r", steps=(fault, CLEAN.steps[1])))])
    assert "error_observation" not in page.index["columns"]["lint"][0]
    assert "error_observation" in page.index["columns"]["lint"][1]
    assert page.index["lint"]["error_observation"].startswith("A tool failed")


def test_a_page_that_no_browser_would_open_is_cut_shorter_and_says_so(monkeypatch):
    monkeypatch.setattr("fireact_ray.evaluation.viewer.page.PAGE_CHARS", 40_000)
    step = replace(CLEAN.steps[0], observation=Observation("o" * 9_000))
    page = build_page("x", [system("x", row("a", "q", steps=(step,) * 10), row("b", "r"))])
    assert page.bodies[0]["steps"][9]["observation"] == f"{'o' * 1_000} … (8,000 more characters)"
    assert page.index["notes"] == ["Texts longer than 1,000 characters are cut there: 10."]


def test_runs_that_share_no_question_are_said_to(monkeypatch):
    page = build_page("x", [system("s", row("a", "q"), run="one"), system("s", row("b", "r"), run="two")])
    assert page.index["open"] == [0, None]
    assert page.index["notes"] == ["one and two have no question in common, so that nothing stands side by side."]


def test_what_is_left_out_and_what_is_cut_is_said():
    page = build_page("x", [system("x", row("a", "q" * 30_000), n_rows=12)], ["x: a part is damaged."])
    assert page.index["notes"] == [
        "x: a part is damaged.",
        "x: 11 rows of 12 left out of this page, which shows 1; `--limit` says how many it holds in all.",
        "Texts longer than 20,000 characters are cut there: 1.",
    ]
