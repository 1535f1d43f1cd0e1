"""One small run through the later stages: each test builds on the run folder of the module's fixture.

Each stage is interrupted, in a process in which something was trained: 130, how to go on, and no result of half.
"""

import json
import logging
import re
import shutil
import signal
import socket
import sys
from pathlib import Path

import httpx
import openai
import pytest
from commands import Command, until
from safetensors.torch import load_file

from fireact_ray.core.errors import InputError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import read_trajectories
from fireact_ray.demo.teacher.server import ScriptedTeacher
from fireact_ray.evaluation.report import Report
from fireact_ray.recipe.loader import to_yaml
from fireact_ray.recipe.schema import Recipe
from fireact_ray.stages.convert import convert
from fireact_ray.stages.evaluate import evaluate
from fireact_ray.stages.generate import generate
from fireact_ray.stages.serve import serve, serving
from fireact_ray.stages.train import train, train_config
from fireact_ray.training.loop import train as train_here

from .conftest import small_recipe
from .interrupting import HOW_TO_GO_ON, Said, command

pytestmark = [pytest.mark.ray, pytest.mark.torch]

SMALL = [
    *("train.workers=1", "train.epochs=2", "train.global_batch_size=4", "train.checkpoint_every_steps=1"),
    *("train.precision=fp32", "evaluate.workers=1"),
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


def reported(recipe: Recipe) -> list[str]:
    """The checkpoints that Ray Train knows of, oldest first."""
    snapshot = Path(recipe.run_dir) / "checkpoints" / "checkpoint_manager_snapshot.json"
    return sorted(set(re.findall(r"checkpoint_2[\d_.-]+", snapshot.read_text()))) if snapshot.exists() else []


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory, local_ray, scripted):
    """A run whose `fireact train`, with a Ray of its own, was interrupted behind its second checkpoint, as a terminal
    does it: every process of the command. The recipe, the exit code, what was said, the processes that were left."""
    folder = tmp_path_factory.mktemp("runs")
    recipe = small_recipe(folder, scripted, *SMALL)
    generate(recipe)
    convert(recipe)
    (folder / "recipe.yaml").write_text(to_yaml(recipe))
    command = [sys.executable, "-m", "fireact_ray.cli", "train", str(folder / "recipe.yaml")]
    training = Command(command, folder, {"RAY_ADDRESS": ""})
    try:
        until(lambda: training.ended or len(reported(recipe)) >= 2, 240)
        training.interrupt()
        code = training.wait(300)
    finally:
        training.kill()
        left = training.left_after(60)
    return recipe, code, training.said, left


@pytest.fixture(scope="module")
def torn(interrupted) -> str:
    """The name of the newest reported checkpoint of the interrupted training, of which a half is left."""
    recipe, *_ = interrupted
    newest = reported(recipe)[-1]
    folder = Path(recipe.run_dir) / "checkpoints"
    for later in [path for path in folder.glob("checkpoint_*/") if path.name > newest]:  # was about to be reported
        shutil.rmtree(later)
    weights = folder / newest / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    return newest


@pytest.fixture(scope="module")
def trained(interrupted, torn) -> Recipe:
    """The same run, trained to its end."""
    recipe, *_ = interrupted
    train(recipe)
    return recipe


def test_an_interrupted_training_says_how_to_go_on_and_leaves_no_model_and_no_process(interrupted):
    recipe, code, said, left = interrupted
    assert code == 130, said
    assert said.rstrip().endswith("run the same command again to go on.")
    assert "Traceback" not in said
    assert left == []
    assert not (Folder(recipe.run_dir) / "model").exists("fireact.json")


def test_training_goes_on_and_leaves_a_model_that_names_its_base_and_renderer(trained):
    run = Folder(trained.run_dir)
    card = (run / "model").read_json("fireact.json")
    dataset = (run / "dataset").read_json("manifest.json")
    assert card["tuning"] == "full"
    assert card["renderer_fingerprint"] == dataset["renderer_fingerprint"]
    assert card["n_examples"] == dataset["rows"]
    assert (run / "model").names(".safetensors") == ["model.safetensors"]
    log = [json.loads(line) for line in (run / "checkpoints").read("log.jsonl").splitlines()]
    assert log[-1]["step"] == log[-1]["of"] == card["steps"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_training_again_does_nothing(trained):
    before = (Folder(trained.run_dir) / "model").read("fireact.json")
    assert (train(trained)).read("fireact.json") == before


def test_training_goes_on_from_the_checkpoint_before_a_torn_one_to_the_weights_of_the_plain_loop(
    trained, torn, tmp_path
):
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
    with pytest.raises(InputError, match=r"train\.epochs: was 2, now 9"):
        train(changed)


def test_generation_is_interrupted_after_a_training(trained, tmp_path, scripted, capsys):
    recipe = small_recipe(tmp_path, scripted, *SMALL)
    before = scripted.stats()["requests"]
    asked = lambda: scripted.stats()["requests"] > before + 1  # noqa: E731 (the first call is made before the workers)
    assert command(lambda: generate(recipe), interrupt_when=asked, number=signal.SIGTERM) == 130
    assert HOW_TO_GO_ON in capsys.readouterr().err
    assert not (Folder(recipe.run_dir) / "trajectories").exists("manifest.json")


def test_conversion_on_ray_is_interrupted_after_a_training(trained, tmp_path, said, capsys):
    other = trained.model_copy(update={"output_dir": str(tmp_path)})
    source = Folder(trained.run_dir) / "trajectories"
    begun = lambda: "convert: Ray Data" in said.text  # noqa: E731
    assert command(lambda: convert(other, source, in_process=0), interrupt_when=begun) == 130
    assert HOW_TO_GO_ON in capsys.readouterr().err
    assert not (Folder(other.run_dir) / "dataset").exists("manifest.json")


def test_no_table_is_made_of_an_interrupted_evaluation(trained, capsys):
    system = "finetuned"
    asked = trained.evaluate.model_copy(update={"systems": [system]})
    recipe, folder = trained.model_copy(update={"evaluate": asked}), Folder(trained.run_dir) / "evaluations"
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


def test_another_renderer_than_the_trained_one_is_refused(trained):
    student = trained.student.model_copy(update={"renderer": "llama2"})
    with pytest.raises(InputError, match=r"was trained with renderer plain-.*, the recipe asks for llama2-"):
        evaluate(trained.model_copy(update={"student": student, "name": trained.name}))


def test_the_served_agent_answers_the_openai_client_and_an_interrupt_is_how_serving_ends(trained, said):
    url = ""

    def asked() -> bool:
        nonlocal url
        if "Ctrl-C stops" not in said.text:
            return False
        url = re.search(r"serve: (http://[^/]+)/v1/chat", said.text)[1]
        ask_by_openai_client(url)
        return True

    assert command(lambda: serve(trained), interrupt_when=asked) == 0
    assert url
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/health")


def ask_by_openai_client(url: str) -> None:
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none")
    assert [m.id for m in client.models.list()] == ["fireact/demo"]
    asked = [{"role": "user", "content": "When was Welrel Brambram born?"}]
    whole = client.chat.completions.create(model="fireact/demo", messages=asked)
    chunks = list(client.chat.completions.create(model="fireact/demo", messages=asked, stream=True))
    assert "Thought:" not in whole.choices[0].message.content
    streamed = "".join(getattr(c.choices[0].delta, "reasoning_content", None) or "" for c in chunks)
    assert streamed == whole.choices[0].message.reasoning_content
    assert streamed.startswith("Thought: ")
    assert whole.usage.completion_tokens > 0
    with pytest.raises(openai.NotFoundError, match="Known: fireact/demo"):
        client.chat.completions.create(model="gpt-4", messages=asked)


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
