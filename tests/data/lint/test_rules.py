import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fireact_ray.core.errors import InputError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import write_trajectories
from fireact_ray.core.types import Action, Observation, ObservationStatus, Question, Score, Step, StopReason, Trajectory
from fireact_ray.data.formats.records import Record, read_questions, read_records, record_of
from fireact_ray.data.lint import RULES
from fireact_ray.data.lint.base import ASK, FINISH, FOUND, RIGHT, SEARCH, Context
from fireact_ray.data.lint.lint import lint

pytestmark = pytest.mark.slow

RELEASED = Path(__file__).parents[4] / "shared/data/fireact/finetune"
DEV = Path(__file__).parents[4] / "shared/data/questions/hotpotqa_dev.json"


def written(path: Path, *rows: tuple[str, ...], system: str = "") -> str:
    """Chat rows, one a line; a row's turns begin with the user's, but for a system text."""
    roles = ["user", "assistant"] * 20
    head = [{"role": "system", "content": system}] if system else []
    chats = [{"messages": head + [{"role": r, "content": t} for r, t in zip(roles, row, strict=False)]} for row in rows]
    path.write_text("\n".join(map(json.dumps, chats)))
    return str(path)


def found(
    tmp_path: Path, *rows: tuple[str, ...], context: Context | None = None, system: str = ""
) -> dict[str, tuple[int, ...]]:
    """What the lint finds in the rows: codes with row numbers, of the rules that found anything."""
    report = lint(read_records(written(tmp_path / "rows.jsonl", *rows, system=system)), context or Context())
    return {code: numbers for code, numbers in report.rows.items() if numbers}


@pytest.mark.parametrize("code", RULES)
def test_every_rule_finds_its_own_example_and_says_why_it_matters(code, tmp_path):
    rule = RULES[code]
    report = found(tmp_path, *rule.example, context=Context(questions=[ASK]), system=rule.system)
    assert report[code] == (len(rule.example),)
    assert rule.code == code
    assert rule.reason.endswith(".")


def test_a_row_in_order_is_found_by_no_rule_but_that_it_says_so_itself(tmp_path):
    assert found(tmp_path, (ASK, SEARCH, FOUND, FINISH, RIGHT)) == {"leaked_reward": (1,)}
    assert found(tmp_path, (ASK, SEARCH, FOUND, FINISH)) == {"unscored": (1,)}


@pytest.mark.parametrize(
    ("turns", "codes"),
    [
        # Stands in the question, or is a verdict: concluded, not read.
        (("Is Tarn deeper than Ulm?", SEARCH, "Observation: Deep.", "Thought: So.\nAction: finish[Ulm]"), set()),
        (("Is Tarn deep?", SEARCH, "Observation: Deep.", "Thought: So.\nAction: finish[Yes]"), set()),
        ((ASK, SEARCH, "Observation: It is 1410 m.", FINISH), {"answer_unseen"}),
        ((ASK, SEARCH, "Observation: No results found.", SEARCH, FOUND, FINISH), {"repeated_query"}),
        ((ASK, SEARCH.replace("I look it up.", ""), FOUND, FINISH), {"no_thought"}),
        ((ASK, SEARCH, "Observation:", FINISH), {"empty_observation", "answer_unseen"}),
        ((ASK, SEARCH, "Observation: ValueError: 410 m", FINISH), {"error_observation"}),
        ((ASK, SEARCH, "Observation: 500 Days of Summer: 410 m", FINISH), set()),
        ((ASK, SEARCH, "Observation: Error analysis of 410 m", FINISH), set()),
        ((ASK, SEARCH, "Observation: A reward = 5 sheep for 410 m", FINISH), set()),
        ((ASK, SEARCH, FOUND, "Thought: reward = 1 is near.\nAction: finish[410 m]"), {"leaked_reward"}),
        ((ASK, SEARCH, FOUND, FINISH + "\nAction: finish[410 m]"), {"two_actions"}),
        ((ASK, SEARCH, FOUND, FINISH + "\nAction: finish[12 m]"), {"two_actions", "unreadable"}),
        ((ASK, SEARCH, FOUND, "Thought: Hm.\nAction: finish[Not found]"), {"gave_up", "answer_unseen"}),
        ((ASK, "Thought: Hm."), {"unfinished"}),
        ((ASK, SEARCH, "Lake Tarn is 410 m deep.", FINISH), {"unreadable"}),
        ((ASK, FINISH, "Observation: Episode finished, reward = 0"), {"wrong_answer", "no_search", "leaked_reward"}),
    ],
)
def test_what_is_found_in_a_row_and_what_is_not(turns, codes, tmp_path):
    assert set(found(tmp_path, turns)) - {"unscored"} == codes


def test_a_wrong_row_is_found_even_where_nothing_else_can_be_read(tmp_path):
    row = (ASK, "Thought: Hm.", FOUND, FINISH, "Observation: Episode finished, reward = False")
    assert {"wrong_answer", "unreadable"} <= set(found(tmp_path, row))


def test_equal_rows_are_duplicates_and_almost_equal_ones_near_duplicates(tmp_path):
    row = (ASK, SEARCH, FOUND + " It lies in a deep valley of the north, where nobody goes in winter.", FINISH)
    near = (*row[:3], FINISH.replace("have it", "have it now"))
    spaced = (*row[:3], FINISH.replace("\n", " \n"))
    other = (ASK.replace("Tarn", "Ulm"), "Thought: Ulm, then.\nAction: search[Ulm]", "Observation: 12 m", FINISH)
    report = found(tmp_path, row, other, near, row, spaced)
    assert report["duplicate"] == (4, 5)
    assert report["near_duplicate"] == (3,)


def test_rows_that_are_no_rows_are_unreadable_and_keep_their_numbers(tmp_path):
    path = tmp_path / "rows.jsonl"
    written(path, (ASK, SEARCH, FOUND, FINISH))
    path.write_text(path.read_text() + '\n\n{broken\n{"x": 1}\n')
    report = lint(read_records(str(path)), Context())
    assert report.n_rows == 3
    assert report.rows["unreadable"] == (3, 4)
    assert report.rows["duplicate"] == ()


def test_length_is_counted_by_a_tokenizer_or_estimated(tmp_path):
    row = (ASK, SEARCH, FOUND, FINISH)
    assert "too_long" not in found(tmp_path, row, context=Context(max_tokens=41))
    assert found(tmp_path, row, context=Context(max_tokens=40))["too_long"] == (1,)
    assert "too_long" not in found(tmp_path, row, context=Context(30, lambda text: len(text.split())))


def test_contamination_is_not_checked_without_questions(tmp_path):
    report = lint(read_records(written(tmp_path / "r.jsonl", (ASK, SEARCH, FOUND, FINISH))), Context())
    assert report.unchecked == ("contaminated",)
    assert "contaminated" not in report.rows


def test_questions_come_from_question_files_and_from_trajectories(tmp_path):
    (tmp_path / "q.jsonl").write_text('{"question": "Who?", "answer": "Bo"}\n\n{"question": "When?"}\n')
    (tmp_path / "q.json").write_text('[{"question": "Who?"}]')
    assert read_questions(str(tmp_path / "q.jsonl")) == ["Who?", "When?"]
    assert read_questions(str(tmp_path / "q.json")) == ["Who?"]
    assert read_questions(written(tmp_path / "t.jsonl", (ASK, FINISH))) == [ASK]


STORED = Trajectory(
    "key",
    Question("jsonl", "q", ASK, ("410 m",)),
    "react",
    "m",
    0,
    (
        Step(
            "I look.",
            Action("search", "Tarn"),
            Observation("The search is unavailable right now.", ObservationStatus.ERROR),
        ),
        Step("So.", Action("finish", "12 m"), None, "Thought: So.\nAction: finish[12 m]\nObservation: Right!"),
    ),
    StopReason.FINISHED,
    Score(0.0, 0.5),
)


@pytest.mark.parametrize("where", ["", "trajectories", "trajectories/part.parquet"])
def test_runs_and_parquet_files_are_read_with_replies_as_they_were_received(tmp_path, where):
    folder = Folder(str(tmp_path / "trajectories"))
    folder.move(write_trajectories(folder, [STORED], "w"), "x")
    (next((tmp_path / "trajectories" / "x").iterdir())).rename(tmp_path / "trajectories" / "part.parquet")
    (record,) = read_records(str(tmp_path / where))
    assert record == record_of(STORED, 1)
    report = lint([record], Context())
    codes = {code for code, rows in report.rows.items() if rows}
    assert codes == {"wrong_answer", "answer_unseen", "invented_observation", "error_observation"}


def test_anybodys_parquet_is_read_as_its_rows(tmp_path):
    path = written(tmp_path / "rows.jsonl", (ASK, SEARCH, FOUND, FINISH), (ASK, SEARCH, "Observation: None", FINISH))
    rows = [json.loads(line) for line in Path(path).read_text().splitlines()]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    assert read_records(str(tmp_path / "rows.parquet")) == read_records(path)


def test_an_unfinished_trajectory_of_a_run_is_unfinished(tmp_path):
    stopped = Trajectory("k", STORED.question, "react", "m", 0, STORED.steps[:1], StopReason.MAX_STEPS, Score(0.0, 0.0))
    assert lint([record_of(stopped, 1)], Context()).rows["unfinished"] == (1,)


@pytest.mark.parametrize("name", ["nowhere", "empty/", "broken.parquet", "other.parquet"])
def test_what_holds_no_rows_is_refused(tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.parquet").write_text("x")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    with pytest.raises(InputError, match=name.strip("/")):
        read_records(str(tmp_path / name))


@pytest.mark.skipif(not RELEASED.is_dir(), reason="FireAct's released data is not at ../shared/data")
@pytest.mark.parametrize(
    ("name", "n_rows", "expected"),
    [
        (
            "hotpotqa_multimethod_alpaca.json",
            734,
            {
                "wrong_answer": 40,
                "no_search": 188,
                "answer_unseen": 44,
                "gave_up": 17,
                "no_thought": 16,
                "two_actions": 16,
                "repeated_query": 3,
                "empty_observation": 13,
                "leaked_reward": 734,
                "leaked_method": 47,
                "too_long": 49,
            },
        ),
        (
            "hotpotqa_multimethod_chat.jsonl",
            733,
            {
                "wrong_answer": 40,
                "no_search": 187,
                "answer_unseen": 44,
                "gave_up": 17,
                "no_thought": 15,
                "two_actions": 16,
                "repeated_query": 3,
                "empty_observation": 13,
                "leaked_reward": 733,
                "leaked_method": 47,
                "too_long": 49,
            },
        ),
        (
            "hotpotqa_alpaca.json",
            500,
            {
                "no_search": 1,
                "answer_unseen": 24,
                "two_actions": 1,
                "repeated_query": 1,
                "empty_observation": 6,
                "leaked_reward": 500,
                "too_long": 3,
            },
        ),
        (
            "hotpotqa_chat.jsonl",
            500,
            {
                "no_search": 1,
                "answer_unseen": 24,
                "two_actions": 1,
                "repeated_query": 1,
                "empty_observation": 6,
                "leaked_reward": 500,
                "too_long": 3,
            },
        ),
    ],
)
def test_what_is_wrong_with_fireacts_released_files(name, n_rows, expected):
    records = read_records(str(RELEASED / name))
    report = lint(records, Context(max_tokens=512, questions=read_questions(str(DEV))))
    assert report.n_rows == n_rows
    assert {code: len(rows) for code, rows in report.rows.items() if rows} == expected
    assert report.unchecked == ()
    assert wrong_by_their_own_words(records) == set(report.rows["wrong_answer"])


def wrong_by_their_own_words(records: list[Record]) -> set[int]:
    return {record.row for record in records if record.turns[-1].text in ("Episode finished, reward = False",)}
