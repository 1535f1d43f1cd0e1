"""What nodes and actors have to say reaches the user's log: a line each, no text twice a minute, no secret."""

import logging
import os

import pytest
import ray
from commands import until

from fireact_ray.stages.actors.log_forwarding import Seldom, forward_warnings, warnings_shown
from fireact_ray.stages.ray_messages import _stderr_without, in_a_line

pytestmark = pytest.mark.ray

DEAD = (
    "The node with node id: 4f3a9c77e1 and address: 10.0.0.7 and node name: 10.0.0.7 has been marked dead because the "
    "detector has missed too many heartbeats from it. This can happen when a \t(1) raylet crashes unexpectedly (OOM, "
    "etc.) \n\t(2) raylet has lagging heartbeats due to slow network or busy workload."
)


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (DEAD, "node 10.0.0.7 (4f3a9c77) was lost; its work goes to others"),
        ("Raylet is terminated. Termination is unexpected. Last 20 lines of the Raylet logs:\n    a\n    b\n", None),
        ("Task RolloutWorker.run failed. There are infinite retries remaining, so the task will be retried.", None),
        ("\nSpilled 2048 MiB.\nSet RAY_verbose=1 to see less.", "Ray: Spilled 2048 MiB."),
        ("", None),
    ],
)
def test_a_message_of_ray_is_a_line(message, line):
    assert in_a_line(message) == line


def test_of_what_the_core_writes_to_stderr_one_line_is_left_out(capfd):
    with _stderr_without(b"log level"):
        os.write(2, b"[I] Set log level to 3\n[E] the disk is full\n")
    assert capfd.readouterr().err == "[E] the disk is full\n"


def test_the_same_text_is_shown_once_a_minute():
    now = [0.0]
    seldom = Seldom(lambda: now[0])
    shown = []
    for now[0] in range(0, 130, 10):
        shown += [(now[0], text) for text in ("a", "b") if seldom(text)]
    assert shown == [(at, text) for at in (0, 60, 120) for text in ("a", "b")]


def shown(caplog) -> set[str]:
    ours = "fireact_ray.stages.actors.log_forwarding"
    return {record.getMessage() for record in caplog.records if record.name == ours}


def test_warnings_of_actors_reach_the_driver_without_their_secrets(local_ray, caplog, monkeypatch):
    @ray.remote
    class Warner:
        def __init__(self):
            forward_warnings()
            forward_warnings()

        def warn(self):
            ours = logging.getLogger("fireact_ray.agent.tools.cache")
            ours.warning("the cache at %s cannot be used", "/x")
            ours.warning("the cache at %s cannot be used", "/x")
            ours.error("refused: Bearer sk-abcdefghij0123456789")
            ours.info("nothing to worry about")
            logging.getLogger("another.library").warning("a line of a library")

    with caplog.at_level(logging.WARNING), warnings_shown():
        first, second = Warner.options(num_cpus=0).remote(), Warner.options(num_cpus=0).remote()
        ray.get(first.warn.remote())
        ray.get(second.warn.remote())
        # A set: the session's own reader may take some, also last, and knows nothing of what this one has shown.
        until(lambda: len(shown(caplog)) > 1, 60)
    said = shown(caplog)
    (refused,) = said - {"the cache at /x cannot be used"}
    assert len(said) == 2
    assert refused.startswith("refused: ")
    assert "sk-abcdefghij0123456789" not in refused
