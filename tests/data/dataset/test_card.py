from dataclasses import replace

import pyarrow as pa
import pytest
from fakes import finished_trajectory
from huggingface_hub import DatasetCard

from fireact_ray.core.storage.rows import to_table
from fireact_ray.data.dataset.card import Dataset, dataset_card, lint_training_rows, total_usd
from fireact_ray.data.formats.exporters import FORMATS

pytestmark = pytest.mark.slow

ROW = finished_trajectory("a", cost_usd=0.25)
ROW = replace(ROW, steps=ROW.steps[1:])
MANIFEST = {
    "tokens": 60,
    "trained_tokens": 24,
    "renderer": "plain",
    "renderer_fingerprint": "plain-f00d",
    "fingerprint": "beef",
}


def card(*kept, paid_usd=1.5, exported=None, name="lakes", n_linted=None) -> str:
    drops = {"n_in": len(kept) + 3, "n_kept": len(kept), "dropped": {"wrong_answer": 2, "unscored": 0, "too_long": 1}}
    rows = to_table(kept)
    rows = rows.append_column("length", pa.array(range(20, 20 + len(kept))))
    linted = lint_training_rows(kept[:n_linted])
    dataset = Dataset(name, rows, paid_usd, drops, MANIFEST, linted, "name: lakes\nseed: 7\n")
    return dataset_card(dataset, exported)


def rows_of(text: str, title: str) -> list[list[str]]:
    """Cells of the first table below a heading."""
    section = text.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_head_is_read_by_the_hub(tmp_path):
    (tmp_path / "README.md").write_text(card(ROW, ROW))
    data = DatasetCard.load(tmp_path / "README.md").data
    assert (data.pretty_name, data.license, data.license_link) == ("lakes", "other", "README.md#licences")
    assert data.task_categories == ["question-answering", "text-generation"]
    assert data.size_categories == ["n<1K"]
    (config,) = data.to_dict()["configs"]
    assert config["data_files"] == [{"split": "train", "path": "part-*.parquet"}]


@pytest.mark.parametrize(("n", "size"), [(999, "n<1K"), (1000, "1K<n<10K"), (10_000, "10K<n<100K")])
def test_size_categories_are_the_hubs(n, size):
    assert f"- {size}\n" in card(*[ROW] * n)


def test_it_says_what_there_is_and_how_many():
    text = card(ROW, ROW, replace(ROW, method="cot", steps=ROW.steps[-1:]))
    assert "3 trajectories of agents" in text
    assert rows_of(text, "What and how many") == [
        ["jsonl", "cot", "1", "1.00", "0.00"],
        ["jsonl", "react", "2", "2.00", "1.00"],
    ]
    assert rows_of(text, "Length") == [["tokens of a row", "20", "21", "22", "22", "22"]]
    assert "60 tokens by `plain-f00d`, of which 24 are trained" in text
    assert "renderer: plain, fingerprint `plain-f00d`" in text


def test_it_says_what_was_left_out_and_why():
    assert rows_of(card(ROW), "Which trajectories") == [
        ["trajectories", "4"],
        ["- wrong_answer", "2"],
        ["- too_long", "1"],
        ["kept", "1"],
    ]


def test_costs_are_by_teacher_and_those_of_rows_left_out_count_too():
    text = card(ROW, replace(ROW, cost_usd=0.5), replace(ROW, model="other", cost_usd=None))
    assert rows_of(text, "Teacher and cost") == [
        ["m", "2", "14", "6", "0.7500"],
        ["other", "1", "7", "3", "unknown"],
    ]
    assert "All 6 trajectories, those left out too: 1.5000 USD." in text


def test_an_unknown_cost_stays_unknown():
    assert total_usd([0.25, None]) is None
    assert total_usd([0.25, 0.25]) == 0.5
    assert "those left out too: unknown USD" in card(ROW, paid_usd=None)


def test_the_rows_are_linted_as_they_are_trained():
    """The reply as it was received had a second action; the training row has not."""
    first, last = ROW.steps
    listed = replace(first, completion="Thought: t\nAction: search[q], search[r]")
    found = rows_of(card(replace(ROW, steps=(listed, last))), "Lint")
    assert [row[0] for row in found] == ["`answer_unseen`"]


def test_it_says_what_was_not_linted():
    assert "2 of 2 rows were looked at. No row is found by: " in card(ROW, ROW)
    assert "1 of 2 rows were looked at. No row is found by: " in card(ROW, ROW, n_linted=1)
    assert "Not checked here: `contaminated`, `near_duplicate`." in card(ROW)


def test_licences_are_those_of_the_questions_and_unknown_ones_stay_unknown():
    hotpotqa = replace(ROW, question=replace(ROW.question, task="hotpotqa"))
    assert rows_of(card(ROW, hotpotqa), "Licences") == [
        ["hotpotqa", "1", "CC BY-SA 4.0"],
        ["jsonl", "1", "unknown"],
    ]


def test_the_recipe_stands_in_it_whole():
    assert "````yaml\nname: lakes\nseed: 7\n````" in card(ROW)


def test_of_an_export_it_says_what_is_masked_and_what_is_lost():
    text = card(ROW, exported=FORMATS["alpaca"])
    assert "- file: `alpaca.json`" in text
    assert "- mask: nothing" in text
    assert "- not in this file: ids, method" in text
    assert "path: alpaca.json" in text


def test_a_models_name_is_no_markup():
    text = card(replace(ROW, model="<script>x</script>|[y](z)\n# h\x1b[0m"))
    assert "<script>" not in text
    assert "\n# h" not in text
    assert "\x1b" not in text
