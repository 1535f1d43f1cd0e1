"""`fireact train` of a hosted student: a run folder and a provider in, one job out, whatever interrupts the command."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import pyarrow as pa
import pytest
from commands import until
from fakes import finished_trajectory
from provider import SUCCEEDED, Provider
from typer.testing import CliRunner

from fireact_ray.cli.app import app
from fireact_ray.core.errors import BudgetExhausted, DataError, InputError, ModelDenied, ModelUnknown, TrainingError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.rows import EXAMPLE_SCHEMA
from fireact_ray.core.storage.trajectories import write_trajectories
from fireact_ray.core.types import Question
from fireact_ray.recipe.loader import parse_recipe, to_yaml
from fireact_ray.recipe.schema import Recipe
from fireact_ray.stages.plan_training import training_section
from fireact_ray.stages.train_hosted import cancel_hosted
from fireact_ray.stages.train_hosted import train_hosted as train
from fireact_ray.training.hosted.journal import State, write_state

from .interrupting import command

pytestmark = pytest.mark.slow

FIREACT = [sys.executable, "-m", "fireact_ray.cli"]
N = 12
ROWS = 14  # of which convert has selected N


@pytest.fixture
def provider():
    with Provider() as running:
        yield running


@pytest.fixture
def recipe(tmp_path, provider) -> Recipe:
    return recipe_of(tmp_path, provider.base_url)


def recipe_of(tmp_path, base_url: str, *overrides: str) -> Recipe:
    text = f"""
name: r
output_dir: {tmp_path}/runs
student: {{kind: openai-ft, name: small, base_url: "{base_url}", api_key_env: null, poll_every_s: 0.02}}
"""
    recipe = parse_recipe("r.yaml", text, overrides)
    write_run(Folder(recipe.run_dir))
    return recipe


def write_run(run: Folder) -> None:
    """Once: trajectories, and a dataset of the first N."""
    if run.exists("recipe.yaml"):
        return
    whole = finished_trajectory()
    rows = [
        replace(
            whole,
            trajectory_id=f"t{n:02d}",
            question=Question("jsonl", f"q{n}", f"Who? {n}", ("Ila Dun",)),
            steps=whole.steps[1:],
        )
        for n in range(ROWS)
    ]
    write_trajectories(run / "trajectories", rows[::-1], "w")
    examples = [{"trajectory_id": f"t{n:02d}", "input_ids": [1, 2], "loss_mask": [0, 1]} for n in range(N)]
    dataset = run / "dataset"
    dataset.write_table("part-000.parquet", pa.Table.from_pylist(examples, schema=EXAMPLE_SCHEMA))
    dataset.write_json("manifest.json", {"tokens": 3_000, "trained_tokens": 1_000, "fingerprint": "f00d"})
    run.write("recipe.yaml", "name: r\n")


def test_the_run_s_chosen_trajectories_become_a_model_that_the_folder_names(recipe, provider):
    home = train(recipe)
    rows = [json.loads(line)["messages"] for line in provider.contents["file-1"].splitlines()]
    assert [row[0]["content"] for row in rows] == [f"Who? {n}" for n in range(N)]
    assert [message["role"] for message in rows[0]] == ["user", "assistant", "user", "assistant"]
    card = home.read_json("model.json")
    assert (card["model"], card["base_model"], card["job_id"]) == ("ft:small:house::1", "small", "ftjob-1")
    assert (card["n_examples"], card["trained_tokens"], card["dataset_fingerprint"]) == (N, 4200, "f00d")
    assert home.read("training.jsonl") == provider.contents["file-1"]
    asked = dict(provider.asked)
    assert train(recipe).read_json("model.json") == card
    assert provider.asked == asked


def test_events_are_kept_once_each_over_two_commands(recipe, provider):
    provider.events = [(n, f"Step {n}", {"step": n, "total_steps": 3, "train_loss": 0.5}) for n in (1, 2, 3)]
    provider.course = [{"status": "failed"}]
    with pytest.raises(TrainingError, match="ftjob-1 failed"):
        train(recipe)
    provider.course = [SUCCEEDED]
    home = train(recipe)
    assert [json.loads(line)["step"] for line in home.lines("events.jsonl")] == [1, 2, 3]


def test_other_settings_are_refused_by_name_while_a_job_may_be_paid_for_and_free_before(recipe, provider, tmp_path):
    provider.faults["start"] = [400]
    with pytest.raises(TrainingError):
        train(recipe)
    train(recipe_of(tmp_path, provider.base_url, "student.n_epochs=2"))
    with pytest.raises(InputError, match=r"student\.n_epochs: was 2, now 3"):
        train(recipe)
    assert [body["method"]["supervised"]["hyperparameters"]["n_epochs"] for body in provider.started] == [2]


def test_a_training_above_the_cap_or_with_too_few_rows_asks_the_provider_nothing(tmp_path, provider):
    costly = ["student.price_per_million_tokens=100", "student.max_cost_usd=0.5"]
    with pytest.raises(BudgetExhausted, match=r"about \$0\.9000: 9,000 trained tokens at \$100"):
        train(recipe_of(tmp_path, provider.base_url, *costly))
    recipe = recipe_of(tmp_path, provider.base_url)
    dataset = Folder(recipe.run_dir) / "dataset"
    dataset.write_table("part-000.parquet", dataset.read_table("part-000.parquet").slice(0, 9))
    with pytest.raises(DataError, match="has 9 examples"):
        train(recipe)
    assert provider.asked == {}


def test_a_missing_dataset_and_a_missing_key_are_said_before_anything_is_asked(tmp_path, provider, monkeypatch):
    monkeypatch.delenv("HOSTED_KEY", raising=False)
    with pytest.raises(InputError, match="Fine-tuning 'small' reads its key from the environment variable HOSTED_KEY"):
        train(recipe_of(tmp_path, provider.base_url, "student.api_key_env=HOSTED_KEY"))
    recipe = recipe_of(tmp_path, provider.base_url)
    (Folder(recipe.run_dir) / "dataset").delete("manifest.json")
    with pytest.raises(InputError, match="Run `fireact convert` first"):
        train(recipe)
    assert provider.asked == {}


def test_a_model_that_openai_has_no_longer_is_refused_before_its_key_is_used(tmp_path, monkeypatch):
    monkeypatch.setenv("HOSTED_KEY", "k-123456789")
    gone = ["student.base_url=null", "student.name=gpt-3.5-turbo-0125", "student.api_key_env=HOSTED_KEY"]
    recipe = recipe_of(tmp_path, "http://127.0.0.1:9/v1", *gone)
    for ask in (train, lambda recipe: training_section(recipe, None)):
        with pytest.raises(InputError, match="gone since 2026-10-23"):
            ask(recipe)
    (tmp_path / "r.yaml").write_text(to_yaml(recipe))
    checked = CliRunner().invoke(app, ["check", str(tmp_path / "r.yaml")])
    assert isinstance(checked.exception, InputError)


def test_plan_and_check_say_tokens_cost_and_no_gpu(tmp_path, provider, caplog):
    caplog.set_level("INFO", logger="fireact_ray")
    recipe = recipe_of(tmp_path, provider.base_url, "student.price_per_million_tokens=100")
    said = training_section(recipe, None)
    assert "small at 127.0.0.1:" in said
    assert "3 epochs; no GPU here" in said
    assert "3,000 in one pass, 9,000 trained\ncost, estimated: $0.9000" in said
    with pytest.raises(InputError, match="--gpu H100: a student of kind openai-ft is trained at its provider"):
        training_section(recipe, "H100")
    (tmp_path / "r.yaml").write_text(to_yaml(recipe))
    checked = CliRunner().invoke(app, ["check", str(tmp_path / "r.yaml")])
    assert (checked.exit_code, said in caplog.text) == (0, True)
    assert provider.asked == {}


def test_two_commands_at_once_are_one_job(recipe, provider, tmp_path):
    provider.course = [{"status": "running"}]
    (tmp_path / "r.yaml").write_text(to_yaml(recipe))
    first = subprocess.Popen([*FIREACT, "train", str(tmp_path / "r.yaml")], stderr=subprocess.PIPE, text=True)
    try:
        assert until(lambda: provider.asked["job"] > 0, 120)
        with pytest.raises(InputError, match=r"`fireact train` \(pid \d+ on .*\) is at work there"):
            train(recipe)
        assert cancel_hosted(recipe).endswith("job ftjob-1 is cancelled")  # from beside the command that follows it
        _, said = first.communicate()
    finally:
        first.kill()
        first.wait()
    assert (first.returncode, len(provider.jobs)) == (1, 1)
    assert "job ftjob-1 was cancelled" in said


def test_a_command_killed_between_a_job_and_its_id_finds_that_job_again(recipe, provider, tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(to_yaml(recipe))
    struck = tmp_path / "struck"
    killed = subprocess.run(
        [*FIREACT, "train", str(path)],
        env={**os.environ, "FIREACT_FAILPOINT": f"job-started:1:{struck}"},
        check=False,
    )
    assert (killed.returncode, struck.exists()) == (-signal.SIGKILL, True)
    state = Folder(recipe.run_dir) / "hosted"
    assert (state.read_json("job.json")["phase"], state.read_json("job.json")["job_id"]) == ("starting", None)
    train(recipe)
    assert (provider.asked["upload"], provider.asked["start"]) == (1, 1)
    assert state.read_json("model.json")["job_id"] == "ftjob-1"


def test_an_interrupt_says_that_the_job_goes_on_and_how_it_is_cancelled(recipe, provider, caplog):
    provider.course = [{"status": "running"}]
    running = lambda: provider.asked["job"] > 0  # noqa: E731
    assert command(lambda: train(recipe), interrupt_when=running) == 130
    assert "Job ftjob-1 goes on at 127.0.0.1:" in caplog.text
    assert "with --cancel it is cancelled" in caplog.text
    provider.course = [SUCCEEDED]
    train(recipe)
    assert len(provider.jobs) == 1


def test_an_interrupt_before_the_job_says_that_nothing_is_paid_for(recipe, provider, caplog):
    provider.faults["upload"] = [503] * 9
    asked = lambda: provider.asked["upload"] > 0  # noqa: E731
    assert command(lambda: train(recipe), interrupt_when=asked) == 130
    assert "No job was started at 127.0.0.1:" in caplog.text


def test_only_a_job_under_way_can_be_cancelled(recipe, provider, tmp_path):
    with pytest.raises(InputError, match="no job is under way there, so there is nothing to cancel"):
        cancel_hosted(recipe)
    train(recipe)
    (tmp_path / "r.yaml").write_text(to_yaml(recipe))
    done = CliRunner().invoke(app, ["train", str(tmp_path / "r.yaml"), "--cancel"])
    assert isinstance(done.exception, InputError)
    assert "job ftjob-1 has ended as succeeded; there is nothing to cancel" in str(done.exception)
    local = CliRunner().invoke(app, ["train", "demo", "--cancel"])
    assert "this recipe trains a local student" in str(local.exception)


def test_a_job_whose_id_was_never_heard_can_be_cancelled(recipe, provider):
    job = {"id": "j", "status": "running", "training_file": "f", "metadata": {"fireact_ray": "mark"}}
    provider.jobs = {"j": job, "other": {**job, "id": "other", "metadata": {"fireact_ray": "another"}}}
    home = Folder(recipe.run_dir) / "hosted"
    write_state(home, State("starting", "0" * 64, "mark", "f"))
    assert cancel_hosted(recipe).endswith("job j is cancelled")
    write_state(home, State("starting", "0" * 64, "unheard", "g"))
    with pytest.raises(InputError, match="the job that was about to be started is not there"):
        cancel_hosted(recipe)


def test_a_refused_key_and_an_unknown_model_say_what_to_do_next(tmp_path, provider, monkeypatch):
    monkeypatch.setenv("HOSTED_KEY", "k-123456789")
    provider.api_key = "another"
    with pytest.raises(ModelDenied, match=r"invalid_api_key.*The key asked with: HOSTED_KEY\. Put key") as caught:
        train(recipe_of(tmp_path, provider.base_url, "student.api_key_env=HOSTED_KEY"))
    assert "k-123456789" not in str(caught.value)
    provider.api_key = None
    provider.faults["start"] = [404]
    with pytest.raises(ModelUnknown, match=r"Set student\.name and student\.base_url to what"):
        train(recipe_of(tmp_path, provider.base_url))


def test_a_dataset_whose_trajectories_are_gone_is_not_uploaded_in_part(recipe, provider):
    trajectories = Folder(recipe.run_dir) / "trajectories"
    for part in trajectories.names(".parquet"):
        trajectories.delete(part)
    with pytest.raises(DataError, match="12 of 12 rows of the dataset have no trajectory there"):
        train(recipe)
    assert provider.asked == {}
