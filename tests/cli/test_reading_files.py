"""Commands that read files of others: import and lint."""

import json

import pytest
from forked import fireact

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("loaded")]


def test_a_file_without_trajectories_is_refused_by_what_was_found(tmp_path):
    (tmp_path / "x.json").write_text(json.dumps({"a": 1}))
    done = fireact("import", "demo", str(tmp_path / "x.json"), "--set", f"output_dir={tmp_path}/runs")
    assert done.returncode == 2
    assert not (tmp_path / "runs").exists()


LINTED = [
    {"question": "Who wrote Zem?", "observation": "Ila Dun wrote Zem.", "reward": "True"},
    {"question": "Who built Tornby?", "observation": "None", "reward": "False"},
]


@pytest.fixture
def alpaca(tmp_path) -> str:
    rows = [
        {
            "instruction": row["question"],
            "input": "",
            "output": "Thought: I look it up.\nAction: search[it]\n"
            f"Observation: {row['observation']}\nThought: So.\nAction: finish[Ila Dun]\n"
            f"Observation: Episode finished, reward = {row['reward']}",
        }
        for row in LINTED
    ]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    (tmp_path / "questions.jsonl").write_text('{"question": "who wrote ZEM"}\n')
    return str(tmp_path / "rows.json")


def test_lint_prints_counts_shares_and_rows_and_writes_all_of_them(alpaca, tmp_path):
    done = fireact("lint", alpaca, "--against", str(tmp_path / "questions.jsonl"), "--json", str(tmp_path / "out.json"))
    assert done.returncode == 0, done.stderr
    table = {line.split("│")[1].strip(): line for line in done.stdout.splitlines() if line.startswith("│")}
    assert [cell.strip() for cell in table["wrong_answer"].split("│")[1:5]] == ["wrong_answer", "1", "50.0 %", "2"]
    assert [cell.strip() for cell in table["leaked_reward"].split("│")[1:5]] == ["leaked_reward", "2", "100.0 %", "1 2"]
    written = json.loads((tmp_path / "out.json").read_text())
    found = {code: rule["rows"] for code, rule in written["rules"].items() if rule["rows"]}
    assert found == {
        "wrong_answer": [2],
        "answer_unseen": [2],
        "empty_observation": [2],
        "leaked_reward": [1, 2],
        "contaminated": [1],
    }
    assert (written["n_rows"], written["unchecked"]) == (2, [])


def test_lint_fails_on_what_it_is_asked_to_fail_on_and_on_nothing_else(alpaca):
    passed = fireact("lint", alpaca, "--fail-on", "unreadable,two_actions")
    failed = fireact("lint", alpaca, "--fail-on", "unreadable,wrong_answer,leaked_reward")
    assert (passed.returncode, failed.returncode) == (0, 1)
    assert "Of 2 rows: wrong_answer: 1 rows, leaked_reward: 2 rows." in failed.stderr


def test_lint_counts_tokens_by_a_tokenizer_and_compares_with_a_recipes_evaluation(alpaca, recipe, tmp_path):
    (tmp_path / "test.jsonl").write_text('{"question": "Who built Tornby?"}\n')
    path = recipe(questions=tmp_path)
    done = fireact(
        "lint", alpaca, "--tokenizer", "nano", "--max-tokens", "3", "--recipe", path, "--fail-on=contaminated"
    )
    assert done.returncode == 1
    assert "contaminated: 1 rows" in done.stderr
    assert "estimated" not in done.stdout
    assert "100.0 %" in next(line for line in done.stdout.splitlines() if "too_long" in line)
