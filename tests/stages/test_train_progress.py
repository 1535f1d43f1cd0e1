import json
from pathlib import Path

import pytest
from event_files import events

from fireact_ray.stages.train_progress import note_of, said_of, trackers_of
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.progress.entries import AgentMetrics, TrainEntry, read_log

pytestmark = pytest.mark.slow

CONFIG = TrainConfig(base_model="b")
ENTRY = TrainEntry(
    step=10, of=40, epoch=1, learning_rate=3e-4, loss=1.23456, grad_norm=0.5, trained_tokens_per_s=600.0,
    tokens_per_s=1234.5, padding_share=0.1, memory_gib=1.26, eta_s=95.0, precision="fp32 (as asked)",
)  # fmt: skip


METRICS = AgentMetrics(agent_step=5, agent_em=0.25, agent_questions=8)


def session(folder: Path, steps: tuple[int, ...], loss: float, *, goes_on: bool, fails: bool = False) -> None:
    with (
        trackers_of("demo", ("tensorboard",), CONFIG, folder, goes_on=goes_on) as sender,
        said_of("demo", folder, sender) as said,
    ):
        for step in steps:
            said.entry({**ENTRY, "step": step, "loss": loss})
            said.metrics({"agent_step": step - 5, "agent_em": loss / 10, "agent_questions": 8})
        if fails:
            raise RuntimeError("a lost worker")


def test_a_line_says_loss_speed_memory_and_what_is_left():
    assert note_of(ENTRY) == "loss 1.235, 1,234 tokens/s, 1.3 GiB, 1.6 min left"
    assert note_of({**ENTRY, "step": 40, "eta_s": 0.0}) == "loss 1.235, 1,234 tokens/s, 1.3 GiB"
    assert note_of({**ENTRY, "mfu": 0.412, "held_out_loss": 1.5}, METRICS) == (
        "loss 1.235, held out 1.500, EM 25% after step 5, 1,234 tokens/s, MFU 41%, 1.3 GiB, 1.6 min left"
    )


def test_a_training_that_goes_on_adds_to_its_log_curve_and_trackers(tmp_path: Path):
    with pytest.raises(RuntimeError):
        session(tmp_path, (10, 20), 2.0, goes_on=False, fails=True)
    first = (tmp_path / "loss.png").read_bytes()
    session(tmp_path, (20, 30), 1.0, goes_on=True)
    assert [(e["step"], e["loss"]) for e in read_log(tmp_path / "log.jsonl")] == [(10, 2.0), (20, 1.0), (30, 1.0)]
    assert sorted(e for e in events(tmp_path / "tensorboard") if e[1] == "loss") == [
        (10, "loss", 2.0),
        (20, "loss", 2.0),
        (30, "loss", 1.0),
    ]
    assert (tmp_path / "loss.png").read_bytes() != first
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    metrics = [(each["agent_step"], each["agent_em"]) for each in lines if "agent_step" in each]
    assert metrics == [(5, 0.2), (15, 0.2), (15, 0.1), (25, 0.1)]  # what is taken again is said again
    assert sorted(e for e in events(tmp_path / "tensorboard") if e[1] == "agent_em") == [
        (10, "agent_em", pytest.approx(0.2)),
        (20, "agent_em", pytest.approx(0.1)),
        (20, "agent_em", pytest.approx(0.2)),
        (30, "agent_em", pytest.approx(0.1)),
    ]


def test_one_that_begins_anew_leaves_the_attempt_that_came_to_no_checkpoint_out(tmp_path: Path):
    with pytest.raises(RuntimeError):
        session(tmp_path, (10, 20), 9.0, goes_on=False, fails=True)
    session(tmp_path, (10,), 1.0, goes_on=False)
    assert [(e["step"], e["loss"]) for e in read_log(tmp_path / "log.jsonl")] == [(10, 1.0)]
    assert [e["loss"] for e in read_log(tmp_path / "log-before.jsonl")] == [9.0, 9.0]
    assert len(list((tmp_path / "tensorboard").iterdir())) == 2  # a run for each
