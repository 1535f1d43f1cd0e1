"""One small run through the later stages: each test builds on the run folder of the module's fixture.

Each stage is interrupted, in a process in which something was trained: 130, how to go on, and no result of half.
The training is interrupted far from any checkpoint, goes on although a torn one is newer, loses its worker, and ends.
"""

import json
import logging
import re
import shutil
import signal
import socket
import sys
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from commands import Command, held_still, raylets, until
from event_files import events
from gate import Gate
from plain_run import generate_here
from provider import Provider
from safetensors.torch import load_file

from fireact_ray.core.errors import InputError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import read_trajectories
from fireact_ray.demo.teacher.faults import Latency
from fireact_ray.demo.teacher.server import ScriptedTeacher
from fireact_ray.evaluation.report import Report
from fireact_ray.recipe.loader import to_yaml
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.search import open_backend
from fireact_ray.recipe.system_agents import opened_systems
from fireact_ray.recipe.systems import EvaluateConfig
from fireact_ray.recipe.trials import trials_of
from fireact_ray.stages.convert import convert
from fireact_ray.stages.evaluate import evaluate
from fireact_ray.stages.generate import generate
from fireact_ray.stages.serve import serve, serving
from fireact_ray.stages.train import train, train_config
from fireact_ray.tasks import load_questions
from fireact_ray.training.loop import train as train_here
from fireact_ray.training.progress.entries import read_log

from .conftest import small_recipe
from .interrupting import HOW_TO_GO_ON, Said, command
from .killed_worker import KilledWorker, checkpoints, step_in
from .served_questions import RunningQuestion, ask_by_openai_client

pytestmark = [pytest.mark.ray, pytest.mark.torch]

# Sixty steps: a worker that is told to stop hears of it within a second, which must be before the last of them.
SMALL = [
    *("train.workers=1", "train.epochs=10", "train.global_batch_size=4", "train.checkpoint_every_steps=1000"),
    *("train.trackers=[tensorboard]", "train.precision=fp32", "train.held_out=0.2", "train.evaluate_every_steps=10"),
    "evaluate.workers=1",
]


@pytest.fixture
def said():
    handler = Said()
    logger = logging.getLogger("fireact_ray")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.fixture(scope="module")
def scripted():
    with ScriptedTeacher() as teacher:
        yield teacher


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory, local_ray, scripted):
    """A run whose `fireact train`, with a Ray of its own, was interrupted behind its tenth step, as a terminal does it:
    every process of the command. The recipe, the exit code, what was said, the processes that were left."""
    folder = tmp_path_factory.mktemp("runs")
    recipe = small_recipe(folder, scripted, *SMALL)
    generate_here(recipe)
    convert(recipe)
    (folder / "recipe.yaml").write_text(to_yaml(recipe))
    command = [sys.executable, "-m", "fireact_ray.cli", "train", str(folder / "recipe.yaml")]
    training = Command(command, folder, {"RAY_ADDRESS": ""})
    log = checkpoints(recipe) / "log.jsonl"
    try:
        until(lambda: training.ended or (log.exists() and log.stat().st_size > 0), 240)
        workers = training.training_workers()
        assert len(workers) == 1, training.said
        with held_still(workers):  # no step is taken while the driver hears of it
            training.interrupt()
            until(lambda: training.ended or "a checkpoint is saved after this step" in training.said, 240)
        code = training.wait(300)
    finally:
        training.kill()
        left = training.left_after(300)
    return recipe, code, training.said, left


class Saved(NamedTuple):
    path: Path
    step: int


@pytest.fixture(scope="module")
def saved(interrupted) -> Saved:
    """The one checkpoint that the interrupted training left."""
    recipe, *_ = interrupted
    (only,) = checkpoints(recipe).glob("checkpoint_2*")
    return Saved(only, step_in(only))


@pytest.fixture(scope="module")
def torn(interrupted, saved) -> str:
    """The name of a newer one that was reported, of which a half is there."""
    recipe, *_ = interrupted
    torn = saved.path.with_name("checkpoint_2999-12-31_23-59-59.0")
    shutil.copytree(saved.path, torn)
    weights = torn / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with (checkpoints(recipe) / "checkpoint_manager_snapshot.json").open("a") as snapshot:
        snapshot.write(torn.name)
    return torn.name


@pytest.fixture(scope="module")
def resumed(interrupted, torn):
    """The same run, trained to its end: it saves after every step and loses its worker. What was said, who died."""
    recipe, *_ = interrupted
    often = recipe.model_copy(update={"train": recipe.train.model_copy(update={"checkpoint_every_steps": 1})})
    said, logger = Said(), logging.getLogger("fireact_ray")
    logger.addHandler(said)
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        with KilledWorker(often) as killed, pytest.MonkeyPatch.context() as patched:
            patched.setenv("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.5")  # a report waits until the one before was heard
            train(often)
    finally:
        logger.removeHandler(said)
        logger.setLevel(level)
    return said.text, killed


@pytest.fixture(scope="module")
def trained(interrupted, resumed) -> Recipe:
    return interrupted[0]


def test_an_interrupted_training_says_how_to_go_on_and_leaves_no_model_and_no_process(interrupted):
    recipe, code, said, left = interrupted
    assert code == 130, said
    assert said.rstrip().endswith("run the same command again to go on.")
    assert "Traceback" not in said
    assert left == []
    assert not (Folder(recipe.run_dir) / "model").exists("fireact.json")


def test_an_interrupted_training_saves_the_step_at_work_and_goes_on_from_it(saved, resumed):
    said, _ = resumed
    assert 10 <= saved.step < 60
    assert f"train: goes on from {saved.path}\n" in said


def test_a_lost_worker_begins_again_from_the_newest_whole_checkpoint_though_ray_train_does_not_know_of_it(resumed):
    said, killed = resumed
    assert killed.newest.name not in killed.known
    assert f"train: begins again from {killed.newest}, workers: 1\n" in said


def test_training_goes_on_and_leaves_a_model_that_names_its_base_and_renderer(trained):
    run = Folder(trained.run_dir)
    card = (run / "model").read_json("fireact.json")
    dataset = (run / "dataset").read_json("manifest.json")
    assert card["tuning"] == "full"
    assert card["renderer_fingerprint"] == dataset["renderer_fingerprint"]
    assert card["n_examples"] + card["n_held_out"] == dataset["rows"]
    assert (run / "model").names(".safetensors") == ["model.safetensors"]
    log = [json.loads(line) for line in (run / "checkpoints").read("log.jsonl").splitlines()]
    assert log[-1]["step"] == log[-1]["of"] == card["steps"]
    assert log[-1]["held_out_loss"] == card["held_out_loss"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_training_of_two_sessions_leaves_a_curve_and_one_run_of_its_tracker_with_each_step_once(trained):
    checkpoints = Path(trained.run_dir) / "checkpoints"
    assert (checkpoints / "loss.png").read_bytes().startswith(b"\x89PNG")
    told = [(step, value) for step, name, value in events(checkpoints / "tensorboard") if name == "loss"]
    entries = read_log(checkpoints / "log.jsonl")  # every tenth step, and the last
    n_steps = entries[-1]["of"]
    assert [entry["step"] for entry in entries] == sorted({*range(10, n_steps + 1, 10), n_steps})
    assert [step for step, _ in sorted(told)] == [entry["step"] for entry in entries]
    assert len(list((checkpoints / "tensorboard").iterdir())) == 1


def test_a_tracker_that_is_not_installed_is_refused_before_anything_starts(trained):
    if find_spec("mlflow"):
        pytest.skip("mlflow is installed here")
    section = trained.train.model_copy(update={"trackers": ("mlflow",)})
    with pytest.raises(InputError, match=r"not installed here: mlflow-skinny\. Run `pip install mlflow-skinny`"):
        train(trained.model_copy(update={"train": section}))


def test_training_again_does_nothing(trained):
    before = (Folder(trained.run_dir) / "model").read("fireact.json")
    assert (train(trained)).read("fireact.json") == before


def test_a_training_that_was_interrupted_torn_and_killed_ends_in_the_weights_of_the_plain_loop(trained, torn, tmp_path):
    run = Path(trained.run_dir)
    names = {path.name for path in (run / "checkpoints").iterdir()}
    assert f"broken-{torn}" in names
    assert torn not in names
    assert len([name for name in names if name.startswith("checkpoint_2")]) == 2
    config = train_config(trained).changed(checkpoint_every_steps=100)
    train_here(config, run / "dataset", tmp_path / "model")
    resumed = load_file(run / "model" / "model.safetensors")
    uninterrupted = load_file(tmp_path / "model" / "model.safetensors")
    assert max(float((resumed[key] - uninterrupted[key]).abs().max()) for key in uninterrupted) < 1e-5


def test_other_settings_for_an_old_model_are_refused_by_name(trained):
    changed = trained.model_copy(update={"train": trained.train.model_copy(update={"epochs": 9})})
    with pytest.raises(InputError, match=r"train\.epochs: was 10, now 9"):
        train(changed)


def test_generation_is_interrupted_after_a_training(trained, tmp_path, capsys):
    gate = Gate(Latency(), [2])  # the first call is made before the workers
    with ScriptedTeacher(latency=gate) as teacher:
        recipe = small_recipe(tmp_path, teacher, *SMALL)
        try:
            code = command(lambda: generate(recipe), interrupt_when=lambda: gate.is_held, number=signal.SIGTERM)
        finally:
            gate.go_on()
    assert code == 130
    assert HOW_TO_GO_ON in capsys.readouterr().err
    assert not (Folder(recipe.run_dir) / "trajectories").exists("manifest.json")


def test_conversion_on_ray_is_interrupted_after_a_training(trained, tmp_path, said, capsys):
    other = trained.model_copy(update={"output_dir": str(tmp_path)})
    source = Folder(trained.run_dir) / "trajectories"
    begun = lambda: "convert: Ray Data" in said.text  # noqa: E731
    with ExitStack() as held:  # Ray runs nothing until the interrupt has come
        said.at["convert: Ray Data"] = lambda: held.enter_context(held_still(raylets()))
        converting = lambda: convert(other, source, in_process=0)  # noqa: E731
        assert command(converting, interrupt_when=begun, then=held.close) == 130
    assert HOW_TO_GO_ON in capsys.readouterr().err
    assert not (Folder(other.run_dir) / "dataset").exists("manifest.json")


def evaluating(recipe: Recipe, **settings) -> Recipe:
    section = EvaluateConfig.model_validate({**recipe.evaluate.model_dump(), **settings})
    return recipe.model_copy(update={"evaluate": section})


def test_no_table_is_made_of_an_interrupted_evaluation(trained, capsys):
    system = "finetuned"
    recipe, folder = evaluating(trained, systems=[system]), Folder(trained.run_dir) / "evaluations"
    begun = lambda: bool((folder / system / "journal").names(".jsonl"))  # noqa: E731
    assert command(lambda: evaluate(recipe), interrupt_when=begun) == 130
    assert HOW_TO_GO_ON in capsys.readouterr().err
    assert not (folder / system).exists("report.json")
    assert not folder.exists("report.md")


def test_evaluation_reports_every_question_for_base_and_finetuned(trained):
    reports = evaluate(trained)
    assert [(r.name, r.n_planned) for r in reports] == [("base", 8), ("finetuned", 8)]
    folder = Folder(trained.run_dir) / "evaluations"
    rows = read_trajectories(folder / "finetuned" / "trajectories")
    assert Report.from_trajectories("finetuned", rows).to_dict() == (folder / "finetuned").read_json("report.json")
    assert all(not t.question.text.startswith("Question") and t.method == "react" for t in rows)
    assert b"| base " in folder.read("report.md")
    assert "8 questions, " in (Folder(trained.run_dir) / "model").read("README.md").decode()


def test_a_served_agent_an_earlier_run_and_ordered_faults_stand_beside_what_was_evaluated_before(trained, tmp_path):
    """The student of another recipe's folder is the same one here: its rows have the same keys."""
    folder = Folder(trained.run_dir) / "evaluations"
    before = {name: (folder / name).read("report.json") for name in ("base", "finetuned")}
    (tmp_path / "key").write_text("k-0123456789")
    with Provider(api_key="k-0123456789") as server:
        server.models["served/x"] = lambda messages: f"Answer: {messages[-1]['content'][:5]}"
        served = {"name": "served", "kind": "endpoint", "base_url": server.base_url, "model": "served/x"}
        earlier = {"name": "earlier", "kind": "run", "path": f"{folder.uri}/base"}
        systems = ["finetuned", {**served, "api_key_file": str(tmp_path / "key")}, earlier]
        recipe = evaluating(trained, systems=systems, conditions=["none"])
        reports = evaluate(recipe)
        evaluate(recipe)  # asks nothing again
    assert [(r.name, r.n_planned) for r in reports] == [("finetuned", 8), ("served", 8), ("earlier", 8)]
    assert [chat["messages"] for chat in server.chats] == [[{"role": "user", "content": q}] for q in asked_of(server)]
    assert len(set(asked_of(server))) == len(server.chats) == 8
    assert (reports[1].searches_per_question, reports[1].tokens_per_question) == (None, 15)
    assert {name: (folder / name).read("report.json") for name in before} == before
    assert (folder / "earlier").read_json("report.json")["em"] == (folder / "base").read_json("report.json")["em"]
    assert read_trajectories(folder / "earlier" / "trajectories") == read_trajectories(folder / "base" / "trajectories")
    struck = [step for row in read_trajectories(folder / "finetuned@none-0.5" / "trajectories") for step in row.steps]
    shown = [step.observation.text for step in struck if step.observation and step.action]
    assert 0 < shown.count("No results found.") < len(shown)
    rows = folder.read_json("robustness.json")["rows"]
    assert [(row["system"], row["condition"], row["n"]) for row in rows] == [
        ("finetuned", "normal", 8),
        ("finetuned", "none-0.5", 8),
    ]
    again = evaluating(trained, systems=["finetuned", {"name": "again", "kind": "model", "path": trained.run_dir}])
    questions = load_questions("almanac", None, "test", 8)
    with opened_systems(again, trials_of(again)) as opened:
        agents = [system.planner(open_backend(again.search), None)["react"] for system in opened]
    one, other = ([agent.trajectory_id(question) for question in questions] for agent in agents)
    assert one == other


def asked_of(server: Provider) -> list[str]:
    return [chat["messages"][-1]["content"] for chat in server.chats]


def test_an_earlier_run_without_these_questions_is_refused_before_anything_runs(trained):
    earlier = {"name": "earlier", "kind": "run", "path": trained.run_dir}
    with pytest.raises(
        InputError, match=r"holds no first attempt at 8 of 8 questions.*same task, split and n_questions"
    ):
        evaluate(evaluating(trained, systems=[earlier]))


def test_another_renderer_than_the_trained_one_is_refused(trained):
    student = trained.student.model_copy(update={"renderer": "llama2"})
    with pytest.raises(InputError, match=r"was trained with renderer plain-.*, the recipe asks for llama2-"):
        evaluate(trained.model_copy(update={"student": student, "name": trained.name}))


def test_the_served_agent_answers_the_openai_client_and_an_interrupt_ends_it_behind_what_runs(trained, said):
    url, running = "", []

    def asked() -> bool:
        nonlocal url
        if "Ctrl-C stops" not in said.text:
            return False
        url = re.search(r"serve: (http://[^/]+)/v1/chat", said.text)[1]
        ask_by_openai_client(url)
        running.append(RunningQuestion(url))
        return True

    assert command(lambda: serve(trained), interrupt_when=asked) == 0
    (logs,) = re.findall(r"logs on each node in (\S+)", said.text)
    assert (Path(logs).is_dir(), "session_latest" in logs) == (True, False)
    (question,) = running
    assert question.heard[-1] == "data: [DONE]"
    assert not any("error" in json.loads(line.removeprefix("data: ")) for line in question.heard[:-1])
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/healthz")


def test_a_port_in_use_is_a_clear_error(trained):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        busy = trained.model_copy(update={"serve": trained.serve.model_copy(update={"port": port})})
        with pytest.raises(InputError, match=f"serve.port {port} on 127.0.0.1: cannot be used"), serving(busy):
            pass


def test_serving_without_a_model_says_what_to_run_first(tmp_path):
    with pytest.raises(InputError, match="Run `fireact train` first"), serving(small_recipe(tmp_path)):
        pass
