"""A command of several stages says what it will do, and what each took."""

import logging
import subprocess
import sys

import pytest

from fireact_ray.core.utils.itinerary import DEMO, Itinerary, demo_plan


def test_stages_say_their_start_their_seconds_and_their_share(caplog):
    now = [0.0]
    itinerary = Itinerary("run", {"generate": 20.0, "train": None}, lambda: now[0])
    with caplog.at_level(logging.INFO):
        with itinerary.stage("generate"):
            now[0] = 30.0
        now[0] = 40.0
        with itinerary.stage("train"):
            now[0] = 100.0
    assert [record.getMessage() for record in caplog.records] == [
        "run: generate, stage 1 of 2, ~20 s",
        "run: generate took 30 s, 100 % of the time so far",
        "run: train, stage 2 of 2",
        "run: train took 60 s, 60 % of the time so far",
    ]
    assert itinerary.summary() == "run: generate 30 s (30 %), train 60 s (60 %); 100 s in all"


def test_a_stage_that_was_interrupted_took_no_time():
    itinerary = Itinerary("run", {"train": None}, lambda: 1.0)
    with pytest.raises(KeyboardInterrupt), itinerary.stage("train"):
        raise KeyboardInterrupt
    assert itinerary.summary() == "run: ; 0 s in all"


def test_the_demo_says_what_it_will_do_and_how_long_that_takes():
    said = demo_plan()
    assert all(name in said for name in DEMO)
    assert "train ~2.3 min" in said
    assert "about 5 minutes on two cores" in said


@pytest.mark.e2e
def test_the_demo_says_so_before_it_loads_anything_heavy():
    code = (
        "import sys, logging\n"
        "from fireact_ray.cli import app, main as entry\n"
        "class Heard(logging.Handler):\n"
        "    def emit(self, record):\n"
        "        heavy = [m for m in ('ray', 'torch') if m in sys.modules]\n"
        "        print(record.getMessage(), heavy)\n"
        "        sys.exit(0)\n"
        "entry._configure_logging()\n"
        "logging.getLogger('fireact_ray').addHandler(Heard())\n"
        "app.stages.demo()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == f"{demo_plan()} []\n", done.stderr
