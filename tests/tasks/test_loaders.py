import json
from pathlib import Path

import pytest

from fireact_ray.core.errors import InputError
from fireact_ray.core.types import Question
from fireact_ray.core.utils.text import nearest
from fireact_ray.tasks import TASKS, get_task, load_questions

REAL = Path(__file__).parents[3] / "shared" / "data" / "questions"


def write(folder: Path, name: str, content: object) -> str:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return str(path)


def mark(task: str, question: Question, answer: str | None) -> float:
    return get_task(task).score(question, answer).exact_match


def test_hotpotqa_reads_the_official_release(tmp_path):
    row = {
        "_id": "5ab",
        "question": "Which lake is deeper, Ulm or Tarn?",
        "answer": "Tarn",
        "type": "comparison",
        "level": "hard",
        "supporting_facts": [["Tarn", 0]],
        "context": [["Tarn", ["It is deep."]]],
    }
    path = write(tmp_path, "hotpot_dev_distractor_v1.json", [row])
    expected = [Question("hotpotqa", "5ab", "Which lake is deeper, Ulm or Tarn?", ("Tarn",), "comparison")]
    assert load_questions("hotpotqa", path, "dev") == expected
    assert load_questions("hotpotqa", str(tmp_path), "dev") == expected


def test_rows_without_an_id_get_one_from_their_content_alone(tmp_path):
    rows = [
        {"question": "Where is Ulm? ", "answer": "Graz", "type": "bridge"},
        {"question": "Who?", "answer": "Bo"},
    ]
    here = load_questions("hotpotqa", write(tmp_path, "a.json", rows), "dev")
    there = load_questions("hotpotqa", write(tmp_path, "b.json", rows[::-1]), "train")
    assert [q.text for q in here] == ["Where is Ulm?", "Who?"]
    assert {q.id for q in here} == {q.id for q in there}
    assert here[0].id == "58085bfe43f5fd48"  # sha256 of ["hotpotqa","Where is Ulm?"]


def test_a_question_without_a_known_answer_is_kept(tmp_path):
    path = write(tmp_path, "hotpot_test_fullwiki_v1.json", [{"_id": "5ab", "question": "Who?"}])
    assert load_questions("hotpotqa", path, "test")[0].answers == ()


def test_bamboogle_reads_its_csv(tmp_path):
    path = write(tmp_path, "bamboogle_test.csv", 'Question,Answer\n"Who, in 1869, was it?",Ada Moe\n')
    (question,) = load_questions("bamboogle", path, "test")
    assert (question.text, question.answers) == ("Who, in 1869, was it?", ("Ada Moe",))
    assert mark("bamboogle", question, "ada moe.") == 1.0


def test_strategyqa_turns_booleans_into_yes_and_no(tmp_path):
    rows = [
        {"qid": "x1", "question": "Can it?", "answer": True},
        {"qid": "x2", "question": "May it?", "answer": False},
    ]
    can, may = load_questions("strategyqa", write(tmp_path, "s.json", rows), "dev")
    assert (can.id, can.answers, may.answers) == ("x1", ("yes",), ("no",))


@pytest.mark.parametrize(
    ("answer", "is_no"),
    [
        ("no", 1.0),
        ("No.", 1.0),
        ("False", 1.0),
        ("No, because gold is denser.", 1.0),
        ("yes", 0.0),
        ("True", 0.0),
        ("no information found", 0.0),
        ("nothing", 0.0),
        ("", 0.0),
        (None, 0.0),
    ],
)
def test_strategyqa_marks_the_verdict_however_it_is_put(answer, is_no):
    assert mark("strategyqa", Question("strategyqa", "x", "Can it?", ("no",)), answer) == is_no


MMLU_ROW = '"What does one\ncrate cost?","$2k, or less",$3k,bb BB,BB bb,B\n'


def mmlu_question(folder: Path, row: str = MMLU_ROW) -> Question:
    write(folder, "sea_trade_test.csv", row)
    return load_questions("mmlu", str(folder), "test")[0]


def test_mmlu_shows_the_choices_and_knows_letter_and_text(tmp_path):
    question = mmlu_question(tmp_path)
    assert question.text == "What does one\ncrate cost?\nA. $2k, or less\nB. $3k\nC. bb BB\nD. BB bb"
    assert (question.answers, question.kind) == (("B", "$3k"), "sea_trade")
    assert question.id.startswith("sea_trade/")


@pytest.mark.parametrize("answer", ["B", "b", "B.", "(B)", "B:", "B. $3k", "(B) $3k", "$3k", " $3k. "])
def test_mmlu_accepts_the_letter_or_the_choice(tmp_path, answer):
    assert mark("mmlu", mmlu_question(tmp_path), answer) == 1.0


@pytest.mark.parametrize("answer", ["A", "C. $3k", "3k", "$2k, or less", "Both", "", None])
def test_mmlu_accepts_nothing_else(tmp_path, answer):
    assert mark("mmlu", mmlu_question(tmp_path), answer) == 0.0


def test_mmlu_choices_that_differ_in_case_only_are_told_apart(tmp_path):
    question = mmlu_question(tmp_path, MMLU_ROW.replace(",B\n", ",C\n"))
    assert mark("mmlu", question, "bb BB") == 1.0
    assert mark("mmlu", question, "BB bb") == 0.0
    assert mark("mmlu", question, "bb bb") == 0.0


def test_a_choice_that_begins_like_a_letter_is_read_as_that_choice(tmp_path):
    question = mmlu_question(tmp_path, "Which mould?,A rose,A. niger,Moss,Fern,A\n")
    assert mark("mmlu", question, "A. niger") == 0.0
    assert mark("mmlu", question, "A rose") == 1.0


def test_rows_that_mmlu_repeats_stay_two_questions(tmp_path):
    path = write(tmp_path, "law_dev.csv", "Who?,a1,b1,c1,d1,A\nWho?,a1,b1,c1,d1,A\n")
    first, second = load_questions("mmlu", path, "dev")
    assert second.id == f"{first.id}-2"


def test_mmlu_reads_all_subjects_of_a_split_also_below_its_folder(tmp_path):
    (tmp_path / "val").mkdir()
    for subject in ("law", "art"):
        write(tmp_path / "val", f"{subject}_val.csv", "Who?,a1,b1,c1,d1,A\n")
    assert [q.kind for q in load_questions("mmlu", str(tmp_path), "val")] == ["art", "law"]


def test_the_first_questions_of_mmlu_are_of_all_its_subjects(tmp_path):
    for subject, n in (("art", 3), ("bio", 1), ("law", 2)):
        write(tmp_path, f"{subject}_test.csv", "".join(f"Who {i}?,a1,b1,c1,d1,A\n" for i in range(n)))
    kinds = [question.kind for question in load_questions("mmlu", str(tmp_path), "test")]
    assert kinds == ["art", "bio", "law", "art", "law", "art"]


def test_jsonl_reads_ones_own_questions(tmp_path):
    lines = [
        '{"question": "Which pier?", "answer": 7, "id": 12}',
        "",
        '{"question": "Who built it?", "answers": ["Ada Moe", "A. Moe"], "kind": "1hop"}',
        '{"question": "Which depot lacks a crane?"}',
    ]
    pier, builder, depot = load_questions("jsonl", write(tmp_path, "q.jsonl", "\n".join(lines)), "any")
    assert (pier.id, pier.answers) == ("12", ("7",))
    assert (builder.answers, builder.kind) == (("Ada Moe", "A. Moe"), "1hop")
    assert mark("jsonl", builder, "a moe") == 1.0
    assert depot.answers == ()


def test_the_first_n_questions_or_as_many_as_there_are(tmp_path):
    path = write(tmp_path, "q.jsonl", '{"question": "a?"}\n{"question": "b?"}\n')
    assert [q.text for q in load_questions("jsonl", path, "any", 1)] == ["a?"]
    assert len(load_questions(TASKS["jsonl"], path, "any", 9)) == 2


BAD_FILES = {
    "not JSON": ("hotpotqa", "x.json", "Question,Answer\n", "x.json is not JSON: expecting value in line 1"),
    "no list": ("hotpotqa", "x.json", {"data": []}, "expected a JSON list of questions, found {data: []}"),
    "no answer": (
        "hotpotqa",
        "x.json",
        [{"question": "a?", "answer": "b"}, {"question": "c?", "answer": {"no": 3}}],
        "row 2: no answer can be read from {'no': 3}. Mend or remove this row.",
    ),
    "empty": ("strategyqa", "x.json", [], "x.json holds no question"),
    "no boolean": ("strategyqa", "x.json", [{"question": "a?", "answer": 1}], "row 1: expected"),
    "no header": (
        "bamboogle",
        "x.csv",
        "Who?,Ada\n",
        "expected the header Question,Answer, found 'Who?,Ada'",
    ),
    "a cell too many": ("bamboogle", "x.csv", "Question,Answer\na?,b,c\n", "found ['a?', 'b', 'c']"),
    "no letter": ("mmlu", "law_dev.csv", "Who?,a,b,c,d,E\n", "expected six cells"),
    "two letters": ("mmlu", "law_dev.csv", "Who?,a,b,c,d,AB\n", "expected six cells"),
    "a broken line": (
        "jsonl",
        "x.jsonl",
        '{"question": "a?"}\n{"question"\n',
        "row 2: expected one JSON object",
    ),
    "a wrong answer": (
        "jsonl",
        "x.jsonl",
        '{"question": "a?", "answer": {"no": "b"}}\n',
        "row 1: no answer can be read from {'no': 'b'}",
    ),
    "both keys": (
        "jsonl",
        "x.jsonl",
        '{"question": "a?", "answer": "b", "answers": ["c"]}\n',
        "row 1: 'b' and 'c' are both named as the answer",
    ),
    "choices that would not be shown": (
        "jsonl",
        "x.jsonl",
        '{"question": "a?", "choices": ["b", "c"], "golden_answers": [1]}\n',
        "row 1: it holds `choices`, which would not be shown: write the choices into the text of the question",
    ),
    "a table": ("jsonl", "x.csv", "question,answer\na?,b\n", "Write one question a line"),
    "a list": ("jsonl", "x.json", '[{"question": "a?"}]', "row 1: it is a list. Write one question a line"),
    "no UTF-8": ("jsonl", "x.jsonl", b'{"question": "\xff?"}', "is not UTF-8 text (byte 14)"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_refused_with_what_was_expected_and_found(tmp_path, case):
    task, name, content, message = BAD_FILES[case]
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    else:
        write(tmp_path, name, content)
    with pytest.raises(InputError) as error:
        load_questions(task, str(tmp_path / name), "dev")
    assert message in str(error.value)
    assert name in str(error.value)


@pytest.mark.parametrize(
    ("task", "name", "content"),
    [
        (
            "hotpotqa",
            "x.json",
            [{"_id": "k", "question": "a?"}, {"question": "c?"}, {"_id": "k", "question": "b?"}],
        ),
        ("bamboogle", "x.csv", "Question,Answer\na?,b\nc?,d\na?,e\n"),
        ("jsonl", "x.jsonl", '{"question": "a?"}\n{"question": "b?"}\n{"question": "a?"}\n'),
    ],
)
def test_two_rows_with_one_id_are_refused_by_number(tmp_path, task, name, content):
    with pytest.raises(InputError, match="rows 1 and 3 have the same id"):
        load_questions(task, write(tmp_path, name, content), "dev")


@pytest.mark.parametrize("task", ["hotpotqa", "bamboogle", "strategyqa", "mmlu", "jsonl"])
def test_missing_data_is_refused_with_what_was_looked_for(tmp_path, task):
    write(tmp_path, "other.txt", "")
    for path, message in [
        (None, "give a path to"),
        ("/nowhere/x", "/nowhere/x does not exist"),
        (tmp_path, "other.txt"),
    ]:
        with pytest.raises(InputError, match=message):
            load_questions(task, path and str(path), "dev")


def test_an_unknown_task_is_refused_with_the_nearest_name():
    with pytest.raises(InputError) as error:
        get_task("hotpot")
    assert str(error.value) == (
        "Unknown task 'hotpot'. Did you mean 'hotpotqa'? "
        "Known: almanac, bamboogle, hotpotqa, jsonl, judge, mmlu, strategyqa."
    )


@pytest.mark.parametrize(("word", "name"), [("MMLU", "mmlu"), ("strategy_qa", "strategyqa"), ("xyz", None)])
def test_the_nearest_name_is_one_that_looks_alike(word, name):
    assert nearest(word, TASKS) == name


@pytest.mark.skipif(not REAL.is_dir(), reason="real questions are not at ../shared/data/questions")
@pytest.mark.parametrize(
    ("task", "split", "n"),
    [
        ("hotpotqa", "dev", 7405),
        ("bamboogle", "test", 125),
        ("strategyqa", "dev", 229),
        ("mmlu", "test", 471),
    ],
)
def test_real_files_load_whole_and_their_own_answers_score_full_marks(task, split, n):
    questions = load_questions(task, str(REAL / "mmlu" if task == "mmlu" else REAL), split)
    assert len({q.id for q in questions}) == len(questions) == n
    assert all(mark(task, q, q.answers[0]) == 1.0 for q in questions)
