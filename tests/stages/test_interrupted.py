"""Each stage is interrupted, in a process in which something was trained: 130, how to go on, and no result of half."""

import json
import logging
import os
import signal
import threading

import pytest

from fireact_ray.entry import run_guarded
from fireact_ray.stages.convert import convert
from fireact_ray.stages.evaluate import evaluate
from fireact_ray.stages.generate import generate
from fireact_ray.stages.serve import serve
from fireact_ray.stages.train import train
from fireact_ray.store import Folder
from fireact_ray.teacher.server import ScriptedTeacher

from .conftest import small_recipe

pytestmark = [pytest.mark.ray, pytest.mark.torch]

SMALL = [
    "generate.workers=1",
    "evaluate.workers=1",
    "train={workers: 1, epochs: 4, checkpoint_every_steps: 1, precision: fp32}",
]
HOW_TO_GO_ON = "run the same command again to go on"


def command(action, *, interrupt_when, number=signal.SIGINT) -> int:
    """The exit code of `action` as a command, interrupted as soon as `interrupt_when` holds."""
    over = threading.Event()

    def watch():
        while not over.wait(0.02):
            if interrupt_when():
                os.kill(os.getpid(), number)
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        run_guarded(action)
    except SystemExit as ended:
        return ended.code
    finally:
        over.set()
        watcher.join()
    return 0


class Said(logging.Handler):
    """What the stages have logged so far."""

    def __init__(self):
        super().__init__(logging.INFO)
        self.text = ""

    def emit(self, record):
        self.text += record.getMessage() + "\n"


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
def run(tmp_path_factory, local_ray, scripted):
    """A run whose dataset is made."""
    recipe = small_recipe(tmp_path_factory.mktemp("runs"), scripted, *SMALL)
    generate(recipe)
    convert(recipe)
    return recipe


@pytest.fixture(scope="module")
def interrupted(run):
    """Its training, interrupted behind the first checkpoint, and run to its end: the exit code, whether a model was
    there, and what was left as the handler."""
    checkpoints = Folder(run.run_dir) / "checkpoints"
    code = command(lambda: train(run), interrupt_when=lambda: checkpoints.exists("checkpoint_manager_snapshot.json"))
    model_was_there = (Folder(run.run_dir) / "model").exists("fireact.json")
    handler = signal.getsignal(signal.SIGINT)
    train(run)
    return code, model_was_there, handler


def test_an_interrupted_training_leaves_no_model_and_can_go_on(run, interrupted):
    assert interrupted == (130, False, signal.default_int_handler)
    assert (Folder(run.run_dir) / "model").exists("fireact.json")
    log = [json.loads(line) for line in (Folder(run.run_dir) / "checkpoints").read("log.jsonl").splitlines()]
    assert log[-1]["step"] == log[-1]["of"]


def test_a_training_leaves_no_handler_behind(interrupted):
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_generation_is_interrupted_after_a_training(interrupted, tmp_path, scripted, capsys):
    recipe = small_recipe(tmp_path, scripted, *SMALL)
    before = scripted.stats()["requests"]
    asked = lambda: scripted.stats()["requests"] > before + 1  # noqa: E731 (the first call is made before the workers)
    assert command(lambda: generate(recipe), interrupt_when=asked, number=signal.SIGTERM) == 130
    assert HOW_TO_GO_ON in capsys.readouterr().err
    assert not (Folder(recipe.run_dir) / "trajectories").exists("manifest.json")


def test_conversion_on_ray_is_interrupted_after_a_training(run, interrupted, tmp_path, said, capsys):
    other = run.model_copy(update={"output_dir": str(tmp_path)})
    source = Folder(run.run_dir) / "trajectories"
    begun = lambda: "convert: Ray Data" in said.text  # noqa: E731
    assert command(lambda: convert(other, source, in_process=0), interrupt_when=begun) == 130
    assert HOW_TO_GO_ON in capsys.readouterr().err
    assert not (Folder(other.run_dir) / "dataset").exists("manifest.json")


def test_no_table_is_made_of_an_interrupted_evaluation(run, interrupted, capsys):
    system = "finetuned"
    asked = run.evaluate.model_copy(update={"systems": [system]})
    recipe, folder = run.model_copy(update={"evaluate": asked}), Folder(run.run_dir) / "evaluations"
    begun = lambda: bool((folder / system / "journal").names(".jsonl"))  # noqa: E731
    assert command(lambda: evaluate(recipe), interrupt_when=begun) == 130
    assert HOW_TO_GO_ON in capsys.readouterr().err
    assert not (folder / system).exists("report.json")
    assert not folder.exists("report.md")


def test_an_interrupt_is_how_serving_ends(run, interrupted, said):
    serving = lambda: "Ctrl-C stops" in said.text  # noqa: E731
    assert command(lambda: serve(run), interrupt_when=serving) == 0
