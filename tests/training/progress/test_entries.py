import json
from pathlib import Path

import pytest

from fireact_ray.training.progress.curve import draw_losses
from fireact_ray.training.progress.entries import LogFile, curves, read_log

pytestmark = pytest.mark.torch


def entry(step: int, loss: float, **more: float) -> dict:
    return {"step": step, "of": 6, "loss": loss, **more}


def write(file: Path, *entries: dict) -> None:
    log = LogFile(file)
    for one in entries:
        log.write(one)  # type: ignore[arg-type]
    log.close()


def test_of_steps_that_were_taken_twice_the_last_counts(tmp_path: Path):
    file = tmp_path / "log.jsonl"
    write(file, entry(2, 4.0), entry(4, 3.0), entry(6, 2.0))  # killed behind a checkpoint after step 3
    write(file, entry(4, 2.9), entry(6, 1.9, held_out_loss=2.5))
    assert len(file.read_text().splitlines()) == 5
    assert curves(read_log(file)) == {"loss": ([2, 4, 6], [4.0, 2.9, 1.9]), "held_out_loss": ([6], [2.5])}


def test_a_line_that_a_kill_cut_off_is_left_out_and_said_and_the_next_one_is_whole(tmp_path: Path, caplog):
    file = tmp_path / "log.jsonl"
    file.write_text(json.dumps(entry(1, 4.0)) + '\n{"step": 2, "lo')
    write(file, entry(2, 3.0))
    assert [one["step"] for one in read_log(file)] == [1, 2]
    assert "log.jsonl: 1 lines are not whole, they are left out" in caplog.text


def test_a_training_that_said_nothing_has_neither_entries_nor_a_curve(tmp_path: Path):
    assert read_log(tmp_path / "log.jsonl") == []
    draw_losses([], tmp_path / "loss.png", "demo")
    assert list(tmp_path.iterdir()) == []


def test_the_curve_is_a_png_of_both_losses(tmp_path: Path):
    from PIL import Image

    one = [entry(step, 1 / step) for step in (1, 2, 3)]
    both = [entry(step, 1 / step, held_out_loss=2 / step) for step in (1, 2, 3)]
    for name, entries in (("one", one), ("both", both)):
        draw_losses(entries, tmp_path / f"{name}.png", "demo")  # type: ignore[arg-type]
    pictures = [Image.open(tmp_path / f"{name}.png").convert("RGB") for name in ("one", "both")]
    assert [picture.size for picture in pictures] == [(960, 540), (960, 540)]
    orange = [
        sum(count for count, (r, g, b) in p.getcolors(1 << 20) if r > 240 and 100 < g < 150 and b < 40)
        for p in pictures
    ]
    assert orange[0] == 0
    assert orange[1] > 100  # the second line's colour
    assert sorted(path.name for path in tmp_path.iterdir()) == ["both.png", "one.png"]
