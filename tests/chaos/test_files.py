"""Damaged files and a full disk: repaired, or refused by name; never a row that is not what was paid for."""

import shutil
from pathlib import Path

import pytest

from . import invariants
from .conftest import FULL
from .scene import Scene, scene

pytestmark = [pytest.mark.chaos, pytest.mark.ray]

N_ROWS = 12
FILES = {  # what to damage -> where it stands in the run folder
    "part": "trajectories/*.parquet",
    "journal": "journal/*",
    "plan": "plan.parquet",
    "manifest": "trajectories/manifest.json",
    "inputs": "trajectories/inputs.json",
}


def emptied(content: bytes, rng) -> bytes:
    return b""


def truncated(content: bytes, rng) -> bytes:
    return content[: rng.randrange(1, len(content))]


def flipped(content: bytes, rng) -> bytes:
    at = rng.randrange(len(content))
    return content[:at] + bytes([content[at] ^ (1 << rng.randrange(8))]) + content[at + 1 :]


CASES = [(what, how) for how in (flipped, truncated, emptied) for what in FILES]


def damage(made: Scene, what: str, how, rng) -> Path:
    """A journal is read for rows that are pending, so the rows go with it."""
    run = made.run.local_path
    file = rng.choice([path for path in sorted(run.glob(FILES[what])) if path.stat().st_size])
    file.write_bytes(how(file.read_bytes(), rng))
    if what == "journal":
        for part in run.glob(FILES["part"]):
            part.unlink()
    return file


def test_damaged_files_are_repaired_or_refused_by_name(chaos, tmp_path, local_ray):
    first = [("part", chaos.rng.choice((flipped, truncated))), ("journal", flipped), ("plan", emptied)]
    cases = chaos.either([*first, ("manifest", truncated), ("inputs", truncated)], CASES * 2)
    with scene(tmp_path, chaos.seed, N_ROWS, workers=1) as made:
        assert made.generate().code == 0
        expected = invariants.timeless(made.rows)
        run, pristine = made.run.local_path, tmp_path / "pristine"
        shutil.copytree(run, pristine)
        for what, how in cases:
            shutil.rmtree(run)
            shutil.copytree(pristine, run)
            file = damage(made, what, how, chaos.rng)
            done = made.generate()
            chaos.note(f"{what} {how.__name__}: {done.code} {done.message}")
            if done.code:
                assert file.name in done.message or "was made with other settings" in done.message
                assert "delete" in done.message
                file.unlink()
                assert made.generate().code == 0
            invariants.every_row_once(made)
            assert invariants.timeless(made.rows) == expected


@pytest.mark.parametrize("rooms_kb", [(0, 48), *([(16,), (96,), (160,), (256,)] if FULL else [])])
def test_a_full_disk_stops_the_run_cleanly_and_space_lets_it_go_on(rooms_kb, chaos, tmp_path, small_disk, local_ray):
    """`rooms_kb`: what is free before each command: for nothing at all; for the plan and some replies."""
    n_rows = chaos.either(60, 400)
    run = small_disk / "run"
    with scene(tmp_path, chaos.seed, n_rows, workers=1) as made:
        to_disk = f"output_dir={small_disk}"
        for room_kb in rooms_kb:
            filler = small_disk / "filler"
            filler.unlink(missing_ok=True)
            filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - room_kb * 1024))
            full = made.finish(to_disk, code=1)
            assert "No space left on device" in full.said
            assert str(run) in full.said
            assert "Traceback" not in full.said
            assert not (run / "trajectories/manifest.json").exists(), "complete with missing rows"
        filler.unlink()
        assert made.generate(to_disk).code == 0
        shutil.copytree(run, made.run.local_path)
        invariants.check(made, extra_calls=n_rows)
