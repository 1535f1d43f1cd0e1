"""The rows of an evaluation, read as a result."""

from dataclasses import replace

from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import write_trajectories
from fireact_ray.core.types import STEPS_UNTOLD
from fireact_ray.evaluation.experiments.results import read_result

from .recorded import FINISH, result, rows


def test_steps_that_a_served_agent_did_not_tell_are_not_counted(tmp_path):
    told, untold = rows("10", searches=2)
    untold = replace(untold, steps=(replace(FINISH, repairs=(STEPS_UNTOLD,)),))
    asked = replace(result("live", "10").asked, folder=Folder(str(tmp_path)))
    write_trajectories(asked.folder / "trajectories", [told, untold], "w")
    found = read_result(asked)
    assert (found.steps, found.report.steps_per_question) == ({3: 1}, None)
