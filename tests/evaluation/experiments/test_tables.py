import pytest

from fireact_ray.evaluation.experiments.paper import is_same_model
from fireact_ray.evaluation.experiments.results import Missing, grouped
from fireact_ray.evaluation.experiments.shown import Value
from fireact_ray.evaluation.experiments.tables import sections_of

from .recorded import result

PAPER = {
    "finetuning": [
        {"model": "Llama-2-7B", "prompted": 14.8, "finetuned": 26.2, "gain": 11.4, "relative": 77.0},
        {"model": "GPT-3.5", "prompted": 31.4, "finetuned": 39.2},
    ],
    "robustness": [{"model": "GPT-3.5", "about": "fine-tuned, none 0.5", "em": 33.6, "drop": -5.6}],
    "cost": [{"model": "GPT-3.5", "about": "by ReAct", "usd": 0.0026, "seconds": 9.0}],
    "generalisation": [{"model": "GPT-3.5", "about": "by ReAct", "hotpotqa": 31.4, "bamboogle": 40.8}],
}


def table(name, results, missing=(), paper=PAPER):
    """Its first table: labels with the texts of their values, and the notes."""
    groups, unlike = grouped(results)
    assert not unlike
    (section,) = sections_of([name], groups, missing, paper)
    first = section.tables[0]
    return {row.label: [value.text for value in row.values] for row in first.rows}, first, section


def test_a_gain_is_absolute_relative_and_paired():
    rows, found, _ = table("gains", [result("base", "1000000000"), result("finetuned", "1111000000")], paper={})
    prompted, finetuned, gain, relative, p, spread, n = rows["finetuned"]
    assert prompted.startswith("10.0 [") and finetuned.startswith("40.0 [")
    assert gain.startswith("+30.0 [") and relative == "+300 %"
    assert (p, spread, n) == ("0.25", "-", "10")  # three coins that fall alike, two-sided
    assert found.rows[0].values[2].rows == (
        "/runs/only/evaluations/base/trajectories",
        "/runs/only/evaluations/finetuned/trajectories",
    )


def test_the_papers_rows_stand_behind_the_model_they_are_of_and_the_others_at_the_end():
    ours = [result(*scored, model="meta-llama/Llama-2-7b-hf") for scored in (("base", "10"), ("finetuned", "11"))]
    rows, found, _ = table("gains", ours)
    assert list(rows) == ["finetuned", "paper: Llama-2-7B", "paper: GPT-3.5"]
    assert rows["paper: Llama-2-7B"] == ["14.8", "26.2", "+11.4", "+77 %", "-", "-", "-"]
    assert [row.origin for row in found.rows] == ["ours", "paper", "paper"]
    assert "other models" in found.notes[-1]


def test_a_student_is_compared_with_its_own_base_and_never_with_another_prompted_model():
    teacher, base = result("teacher", "1111", trained=False, model="gpt-4"), result("base", "1000")
    student = result("finetuned", "1100")
    rows, *_ = table("gains", [teacher, base, student], paper={})
    assert rows["finetuned"][0].startswith("25.0 [")
    rows, *_ = table("gains", [teacher, student], paper={})
    prompted, _, *others = rows["finetuned (its base was not asked)"]
    assert (prompted, others) == ("-", ["-"] * 4 + ["4"])
    by_io = result("io", "0000", trained=False, method="io")
    rows, *_ = table("gains", [by_io, base, student], paper={})
    assert rows["finetuned"][0].startswith("25.0 [")  # by its own method


def test_a_system_is_compared_with_the_first_that_was_asked_the_same_questions():
    asked = [
        result(system, scored, axes={"cell": system, "test": test})
        for test, of_test in {
            "one": {"base": "1000", "finetuned": "1100"},
            "two": {"base": "10", "finetuned": "00"},
        }.items()
        for system, scored in of_test.items()
    ]
    rows, *_ = table("systems", asked, paper={})
    gains = {label: values[-2].partition(" ")[0] for label, values in rows.items()}
    assert gains == {"base, one": "-", "finetuned, one": "+25.0", "base, two": "-", "finetuned, two": "-50.0"}


def test_a_later_model_of_the_same_family_is_not_the_papers():
    assert is_same_model("gpt-4-0613", "GPT-4") and is_same_model("openai/gpt-3.5-turbo", "GPT-3.5")
    assert not any(is_same_model(ours, "GPT-4") for ours in ("gpt-4o-mini", "gpt-4.1", "my-gpt-40"))
    assert is_same_model("codellama/CodeLlama-7b-hf", "CodeLlama-7B")
    assert not is_same_model("codellama/CodeLlama-7b-hf", "Llama-2-7B")


def test_llama_13b_is_not_taken_for_llama_7b():
    paper = {"finetuning": [{"model": "GPT-3.5", "prompted": 31.4}, {"model": "Llama-2-7B", "prompted": 14.8}]}
    ours = [result(system, "1", model="x/Llama-2-13b-hf") for system in ("base", "finetuned")]
    rows, *_ = table("gains", ours, paper=paper)
    assert list(rows) == ["finetuned", "paper: GPT-3.5", "paper: Llama-2-7B"]  # at the end, in the paper's order


def test_a_cell_that_failed_stands_in_the_table_with_its_reason():
    rows, found, _ = table(
        "gains", [result("base", "1"), result("finetuned", "1")], [Missing("n-100", "train failed: x")]
    )
    assert rows["n-100: train failed: x"] == ["-"] * 7
    assert found.rows[-1].origin == "failed"
    alone, *_ = table("gains", [], [Missing("n-100", "train failed: x")])
    assert list(alone) == ["n-100: train failed: x"]


def test_seeds_are_one_row_of_the_mean_over_them_with_their_spread():
    results = [
        result("finetuned", scored, axes={"seed": str(seed)}) for seed, scored in enumerate(("1100", "1110", "1111"))
    ]
    (group,), _ = grouped(results)
    assert group.measured().number == 75.0
    assert group.spread().number == 25.0  # of 50, 75 and 100
    assert len(group.measured().rows) == 3 and group.n_questions == 4
    assert group.by_question() == {
        "q0000": 1.0,
        "q0001": 1.0,
        "q0002": pytest.approx(2 / 3),
        "q0003": pytest.approx(1 / 3),
    }


def test_seeds_that_were_asked_other_questions_are_said_and_are_no_row():
    results = [result("finetuned", scored, axes={"seed": str(seed)}) for seed, scored in enumerate(("110", "11"))]
    groups, missing = grouped([result("base", "100"), *results])
    assert [group.asked.system for group in groups] == ["base"]
    assert [one.cell for one in missing] == ["0", "1"]
    assert "scored 3 questions and 'finetuned' 2, 2 of them the same" in missing[0].reason


def test_the_curve_says_how_many_optimizer_steps_were_taken_and_where_they_differ():
    said = "Students took different numbers of optimizer steps: the curve (21 to 189)."
    for steps, notes in (((189, 195), ()), ((21, 189), (said,))):
        students = [
            result("finetuned", scored, axes={"n": n}, steps=n_steps)
            for scored, n, n_steps in zip(("1000", "1100"), ("100", "1000"), steps, strict=True)
        ]
        rows, found, _ = table("scaling", [result("base", "0000"), *students])
        assert [values[-1] for values in rows.values()] == ["-", *map(str, steps)]
        assert found.notes == notes
    seeds = [result("finetuned", "1000", axes={"n": "100", "seed": str(n)}, steps=180 + n) for n in (0, 2)]
    assert table("scaling", seeds)[0]["100"][-1] == "181 [180, 182]"


def test_conditions_systems_and_cases_without_a_number_hide_nothing_of_the_curve():
    results = [
        result("finetuned", "1110", axes={"n": "100"}),
        result("finetuned", "1000", axes={"n": "100"}, condition="none-0.5"),
        result("finetuned-cot", "1100", axes={"n": "100"}, trained=True),
        result("finetuned", "1111", axes={"n": "all"}),
    ]
    rows, found, _ = table("scaling", results)
    assert found.columns[1:-1] == ("finetuned", "finetuned, none-0.5", "finetuned-cot")
    assert [text.split(" ")[0] for text in rows["100"]] == ["75.0", "25.0", "50.0", "-"]
    assert found.notes == ("Not on the curve: n all, which is no number.",)


def test_the_curve_has_a_line_for_what_differs_beside_n_and_says_where_it_falls():
    results = [
        result("base", "1000"),
        result("finetuned", "1110", axes={"n": "100", "tuning": "full"}),
        result("finetuned", "1100", axes={"n": "1000", "tuning": "full"}),
        result("finetuned", "1000", axes={"n": "100", "tuning": "lora"}),
    ]
    rows, found, section = table("scaling", results)
    assert found.columns == ("trajectories", "full", "lora", "optimizer steps")
    assert list(rows) == ["0 (prompted)", "100", "1000"]  # by number
    assert [text.split(" ")[0] for text in rows["1000"]] == ["50.0", "-", "-"]
    assert found.notes == ("Not rising at every step: full.",)
    assert [(series.name, [point.x for point in series.points]) for series in section.figures[0].series] == [
        ("full", [100.0, 1000.0]),
        ("lora", [100.0]),
        ("prompted", [100.0, 1000.0]),
    ]


def test_a_condition_is_compared_with_the_same_systems_normal_one():
    results = [
        result("finetuned", "1111"),
        result("finetuned", "1100", condition="none-0.5", strength=0.5),
        result("base", "1000", trained=False),
    ]
    rows, _, section = table("noise", results)
    assert rows["finetuned, none-0.5"][1].startswith("-50.0 [")
    assert rows["finetuned"][1] == rows["base"][1] == "-"
    assert rows["paper: GPT-3.5 fine-tuned, none 0.5"][:2] == ["33.6", "-5.6"]
    (line,) = section.figures[0].series
    assert (line.name, [(point.x, point.y) for point in line.points]) == (
        "finetuned, none",
        [(0.0, 100.0), (0.5, 50.0)],
    )


def test_systems_are_compared_under_the_same_faults_each_with_those_before_it():
    def asked(cell, normal, struck):
        return [
            result("finetuned", normal, axes={"cell": cell}),
            result("finetuned", struck, axes={"cell": cell}, condition="none-0.5", strength=0.5),
        ]

    _, _, section = table("noise", [*asked("clean", "1111", "1000"), *asked("faulty", "1110", "1110")], paper={})
    shown = {row.label: row.values[0].text.split(" ")[0] for row in section.tables[1].rows}
    assert shown == {"faulty against clean": "-25.0", "faulty, none-0.5 against clean": "+50.0"}
    _, _, section = table("noise", asked("clean", "1111", "1000"), paper={})
    assert len(section.tables) == 1


def test_a_cost_that_nobody_knows_is_unknown_and_never_zero():
    rows, _, section = table("costs", [result("base", "10", cost=0.5), result("finetuned", "1-", searches=3)])
    assert rows["base"][1:] == ["0.5000", "1.5", "1.2", "0.2", "-", "1.00", "2.00", "280"]  # no row tells its overhead
    assert rows["finetuned"][1] == "-"
    assert rows["paper: GPT-3.5 by ReAct"] == ["-", "0.0026", "9.0", *["-"] * 6]
    assert [(point.x, point.y) for point in section.figures[0].series[1].points] == [(3.0, 50.0), (4.0, 50.0)]


def test_the_matrix_says_what_was_learnt_by_what_is_asked():
    results = [
        result("finetuned", "10", axes={"learnt": "one task", "test": "hotpotqa"}),
        result("finetuned", "11", axes={"learnt": "one task", "test": "strategyqa"}),
        result("finetuned", "00", axes={"learnt": "all tasks", "test": "hotpotqa"}),
    ]
    rows, found, _ = table("matrix", results)
    assert found.columns == ("learnt", "hotpotqa", "strategyqa", "bamboogle")
    assert [text.split(" ")[0] for text in rows["one task: finetuned"]] == ["50.0", "100.0", "-"]
    assert [text.split(" ")[0] for text in rows["all tasks: finetuned"]] == ["0.0", "-", "-"]
    assert rows["paper: GPT-3.5 by ReAct"] == ["31.4", "-", "40.8"]


def test_the_matrix_shows_what_was_asked_under_faults_apart():
    results = [
        result("finetuned", "11", axes={"test": "dev"}),
        result("finetuned", "10", axes={"test": "dev"}, condition="none-0.5"),
    ]
    rows, *_ = table("matrix", results, paper={})
    assert [values[0].split(" ")[0] for values in rows.values()] == ["100.0", "50.0"]


def test_a_method_at_random_is_the_mean_and_the_oracle_the_best_of_each_question():
    results = [
        result("cot", "1100", method="cot"),
        result("react", "0110", method="react"),
        result("finetuned", "1111"),
    ]
    rows, *_ = table("choice", results)
    assert [text.split(" ")[0] for (text,) in rows.values()] == ["50.0", "50.0", "50.0", "75.0"]
    assert list(rows)[2:] == ["a method at random", "the best method for each question"]


def test_every_system_is_compared_with_the_first_on_the_same_questions_only():
    rows, *_ = table("systems", [result("base", "1100"), result("finetuned", "1111"), result("other", "11")], paper={})
    assert rows["base"][5:] == ["-", "-"] and rows["other"][5:] == ["-", "-"]
    assert rows["finetuned"][5].startswith("+50.0 [")


def test_kinds_of_questions_have_columns():
    rows, found, _ = table("kinds", [result("base", "1010")])
    assert found.columns == ("system", "1hop", "2hop")
    assert [text.split(" ")[0] for text in rows["base"]] == ["0.0", "100.0"]


def test_an_unknown_number_is_shown_as_unknown():
    assert Value(None).text == "-"
    assert Value(12.345, "points", 1.0, 20.0).text == "12.3 [1.0, 20.0]"
