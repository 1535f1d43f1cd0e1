"""A judge of recorded answers, asked over HTTP with the journal of a run: what was judged once is not paid again."""

import json
from functools import partial

import pytest
from chat_server import chat_server
from fakes import finished_trajectory

from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import write_trajectories
from fireact_ray.core.types import Action, Step
from fireact_ray.evaluation.recorded.scoring import score_paths
from fireact_ray.stages.evaluate import evaluate
from fireact_ray.stages.judge import judge
from fireact_ray.tasks import load_questions

from .conftest import small_recipe

pytestmark = pytest.mark.ray


class Model:
    """Says yes where the last accepted word stands in the answer, and nothing usable of "odd" ones."""

    model_name = "judge-model"

    def __init__(self) -> None:
        self.base_url = ""
        self.asked: list[str] = []

    def reply(self, body: bytes) -> tuple[int, bytes]:
        text = json.loads(body)["messages"][-1]["content"]
        self.asked.append(text)
        _, accepted, answered = (line.partition(": ")[2] for line in text.splitlines())
        said = "maybe" if "odd" in answered else "yes" if accepted.split()[-1] in answered else "No."
        message = {"role": "assistant", "content": f"Answer: {said}"}
        usage = {"prompt_tokens": 50, "completion_tokens": 3}
        return 200, json.dumps({"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}).encode()


@pytest.fixture
def model():
    made = Model()
    with chat_server(made.reply) as made.base_url:
        yield made


def row(question: str, answer: str | None, gold: str) -> dict:
    said = "Thought: So." if answer is None else f"Thought: So.\nAction: finish[{answer}]"
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": said}]
    return {"messages": turns, "gold": gold}


ROWS = [
    row("Who made it?", "Ada Moe", "Ada Moe"),  # right by both
    row("Who made it?", "A. Moe", "Ada Moe"),  # by the judge alone
    row("Who made it?", "A. Moe", "Ada Moe"),  # the same once more: asked once
    row("Which?", "Bo", "Ada Moe"),
    row("Which?", "odd Ada Moe", "Ada Moe"),  # no verdict
    row("Which?", None, "Ada Moe"),  # no answer: not asked
]


def test_every_answer_is_judged_once_and_the_agreement_with_exact_match_is_told(tmp_path, model):
    recipe = small_recipe(tmp_path / "runs", model)
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    (found,) = score_paths([str(tmp_path / "x.jsonl")], [], "dev", None, partial(judge, recipe))
    assert len(model.asked) == 4
    assert "Asked: Who made it?\nAccepted: Ada Moe\nAnswered: A. Moe" in model.asked
    said = found.to_dict()["judge"]
    assert {name: said[name] for name in ("both_right", "only_judge", "only_exact_match", "both_wrong")} == {
        "both_right": 1,
        "only_judge": 2,
        "only_exact_match": 0,
        "both_wrong": 3,
    }
    assert (said["no_verdict"], said["right"]["percent"], said["agreement_percent"]) == (1, 50.0, 100 * 4 / 6)
    assert found.report.metrics.em.percent == pytest.approx(100 / 6)

    more = [*ROWS, row("What else?", "Zem", "Zem")]
    (tmp_path / "y.jsonl").write_text("\n".join(map(json.dumps, more)))
    (again,) = score_paths([str(tmp_path / "y.jsonl")], [], "dev", None, partial(judge, recipe))
    assert len(model.asked) == 5  # of another file, only what is new
    assert (again.report.judged.both_right, again.report.judged.only_judge) == (2, 2)


def test_an_evaluation_asks_the_judge_by_a_line_of_its_recipe_and_shows_its_cost_apart(tmp_path, model):
    lines = [{"question": "Who made it?", "answer": "Ada Moe"}, {"question": "Which?", "answer": "Zem"}]
    (tmp_path / "q.jsonl").write_text("\n".join(map(json.dumps, lines)))
    questions = load_questions("jsonl", str(tmp_path / "q.jsonl"), "test")
    for name, answers in (("long", ("A. Moe", "Zem")), ("wrong", ("Bo", "Zem"))):
        rows = [
            finished_trajectory(f"{name}{n}", question=question, steps=(Step("t", Action("finish", answer), None),))
            for n, (question, answer) in enumerate(zip(questions, answers, strict=True))
        ]
        write_trajectories(Folder(str(tmp_path / name / "trajectories")), rows, "w")
    systems = ", ".join(f"{{kind: run, name: {name}, path: '{tmp_path}/{name}'}}" for name in ("long", "wrong"))
    recipe = small_recipe(
        *(tmp_path / "runs", model, f"task={{name: jsonl, path: '{tmp_path}/q.jsonl'}}"),
        f"evaluate={{split: test, judge: true, systems: [{systems}]}}",
    )
    long, wrong = evaluate(recipe)
    assert len(model.asked) == 3  # "Zem" was answered by both
    assert (long.judged.right.measure.percent, wrong.judged.right.measure.percent) == (100.0, 50.0)
    assert (long.metrics.em.percent, long.judged.only_judge, long.judged.n_asked) == (50.0, 1, 2)
    evaluations = Folder(recipe.run_dir) / "evaluations"
    written = evaluations.read_json("long/report.json")
    assert (written["judge"]["n_asked"], written["judge"]["cost_usd"], written["cost_usd"]) == (2, None, None)
    assert "judge % [95%]" in evaluations.read("report.md").decode()
    evaluate(recipe)
    assert len(model.asked) == 3  # by the journal of the run r-judge
