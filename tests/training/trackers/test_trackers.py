"""Trackers as fakes that are scripted, and TensorBoard as it is; the others where they are installed."""

import logging
import sqlite3
import threading
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest
from event_files import events

from fireact_ray.core.errors import InputError
from fireact_ray.training.trackers import Tracked, demand_trackers, open_trackers
from fireact_ray.training.trackers.sending import Sender, numbers

pytestmark = pytest.mark.torch

ENTRY = {"of": 4, "epoch": 1, "loss": 2.0, "precision": "fp32 (as asked)", "grad_norm": float("inf")}


class Fake:
    """Fails with what it is given, at every entry or when it ends."""

    def __init__(self, fails_to_log: Exception | None = None) -> None:
        self.told: list[tuple[int, dict[str, float]]] = []
        self.outcomes: list[str] = []
        self._error = fails_to_log

    def log(self, step: int, values: Mapping[str, float]) -> None:
        if self._error:
            raise self._error
        self.told.append((step, dict(values)))

    def end(self, outcome: str) -> None:
        self.outcomes.append(outcome)


@pytest.fixture
def tracked(tmp_path: Path) -> Tracked:
    return Tracked("demo", {"epochs": 3, "lora_target_modules": None}, tmp_path)


def test_tensorboard_reads_every_step_once_though_a_resumed_training_takes_some_again(tracked):
    with open_trackers(["tensorboard"], tracked, told_to=0) as sender:
        for step in (1, 2, 3):
            sender.put({**ENTRY, "step": step})
    with open_trackers(["tensorboard"], tracked, told_to=3) as sender:
        for step in (2, 3, 4, 3, 4):  # from a checkpoint after step 1, and once more from one after step 2
            sender.put({**ENTRY, "step": step, "loss": 1.0, "held_out_loss": 1.5})
    told = sorted(events(tracked.folder / "tensorboard"))
    assert [item for item in told if item[1] != "epoch"] == [
        (0, "settings/text_summary", 0.0),
        *((step, "loss", 2.0) for step in (1, 2, 3)),
        *((4, "held_out_loss", 1.5), (4, "loss", 1.0)),
    ]


def test_only_finite_numbers_are_told():
    assert numbers({**ENTRY, "step": 3}) == {"epoch": 1.0, "loss": 2.0}


def test_a_tracker_that_fails_ends_no_training_and_is_said_once_and_counted(tracked, caplog):
    good, bad = Fake(), Fake(ConnectionError("the server\nis away"))
    openers = {"good": lambda _: good, "bad": lambda _: bad}
    with open_trackers(["bad", "good"], tracked, 0, openers) as sender:
        for step in (1, 2, 3):
            sender.put({**ENTRY, "step": step})
    assert [step for step, _ in good.told] == [1, 2, 3]
    assert (good.outcomes, bad.outcomes) == (["finished"], ["finished"])
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        "tracker bad: the server is away. The training goes on; log.jsonl holds all",
        "tracker bad failed 3 times, at last: the server is away",
    ]


def test_a_tracker_that_hangs_holds_up_neither_the_training_nor_its_end(caplog):
    hangs = threading.Event()
    fake = Fake()
    fake.log = lambda step, values: hangs.wait()  # type: ignore[assignment]
    sender = Sender({"slow": fake}, ending_s=0.01)
    sender.start()
    for step in (1, 2, 3):
        sender.put({**ENTRY, "step": step})
    sender.close("finished")
    hangs.set()
    assert "trackers (slow) did not end within" in caplog.text


@pytest.mark.parametrize(
    ("error", "outcome"), [(None, "finished"), (RuntimeError(), "failed"), (KeyboardInterrupt(), "killed")]
)
def test_a_tracker_learns_how_the_training_ended(tracked, error: BaseException | None, outcome: str):
    fake = Fake()

    def train() -> None:
        with open_trackers(["fake"], tracked, 0, {"fake": lambda _: fake}):
            if error is not None:
                raise error

    if error is None:
        train()
    else:
        with pytest.raises(type(error)):
            train()
    assert fake.outcomes == [outcome]


def test_one_that_cannot_be_opened_refuses_a_new_training_and_only_warns_one_that_goes_on(tracked, caplog):
    fake = Fake()

    def refuse(_: Tracked) -> Fake:
        raise ConnectionError("no route to tracking.example.")

    openers = {"fake": lambda _: fake, "away": refuse}
    words = (
        r"train\.trackers: away cannot be opened: no route to tracking\.example\. Put that right, or leave away out\."
    )
    with pytest.raises(InputError, match=words), open_trackers(["fake", "away"], tracked, 0, openers):
        pass
    assert fake.outcomes == ["failed"]  # the one before it is closed
    with open_trackers(["fake", "away"], tracked, 5, openers) as sender:
        sender.put({**ENTRY, "step": 6})
    assert [step for step, _ in fake.told] == [6]
    assert "The training goes on without it" in caplog.text


def test_a_run_keeps_its_id(tracked):
    assert tracked.run_id("wandb", lambda: "first") == ("first", True)
    assert tracked.run_id("mlflow", lambda: "other") == ("other", True)
    assert tracked.run_id("wandb", lambda: "second") == ("first", False)


def test_a_missing_package_is_named_as_pip_knows_it():
    if find_spec("mlflow"):
        pytest.skip("mlflow is installed here")
    with pytest.raises(InputError, match=r"not installed here: mlflow-skinny\. Run `pip install mlflow-skinny`, or"):
        demand_trackers(["tensorboard", "mlflow"])


def tell_twice(name: str, tracked: Tracked) -> None:
    for told_to, steps in ((0, (1, 2)), (2, (2, 3))):
        with open_trackers([name], tracked, told_to) as sender:
            for step in steps:
                sender.put({**ENTRY, "step": step})


def test_mlflow_goes_on_with_its_run(tracked, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tracked.folder}/mlflow.db")
    tell_twice("mlflow", tracked)
    client = mlflow.MlflowClient(f"sqlite:///{tracked.folder}/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("fireact-ray").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params == {"epochs": "3", "lora_target_modules": "None"}
    assert [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, "loss")] == [(1, 2), (2, 2), (3, 2)]


def test_wandb_is_refused_without_a_key_and_writes_its_run_offline(tracked, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("NETRC", str(tracked.folder / "none"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    with pytest.raises(InputError, match=r"wandb has no key: export WANDB_API_KEY=\.\.\., or WANDB_MODE=offline"):
        demand_trackers(["wandb"])
    monkeypatch.setenv("WANDB_MODE", "offline")
    demand_trackers(["wandb"])
    tell_twice("wandb", tracked)
    run_id, is_new = tracked.run_id("wandb", str)
    assert not is_new
    assert list((tracked.folder / "wandb").glob(f"offline-run-*-{run_id}/run-{run_id}.wandb"))


def test_trackio_goes_on_with_its_run(tracked, monkeypatch, capsys):
    if find_spec("trackio") is None:
        pytest.skip("trackio is not installed here")
    monkeypatch.setenv("TRACKIO_DIR", str(tracked.folder / "trackio"))  # read as it is imported
    tell_twice("trackio", tracked)
    with sqlite3.connect(tracked.folder / "trackio" / "fireact-ray.db") as database:
        rows = database.execute("SELECT run_name, step FROM metrics ORDER BY step").fetchall()
    name, _ = tracked.run_id("trackio", str)
    assert rows == [(name, 1), (name, 2), (name, 3)]
    assert capsys.readouterr().out == ""
