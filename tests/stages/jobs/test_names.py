import pytest

from fireact_ray.core.errors import InputError
from fireact_ray.stages.jobs.names import next_id, stem

LOGS = "ray job logs --address http://h:8265"


def test_a_job_is_called_by_its_run_folder_alone():
    assert stem("hotpotqa", "/shared/runs/hotpotqa") == "fireact-hotpotqa-393b6b15"
    assert stem("my_run.2", "/shared/runs/my_run.2").startswith("fireact-my-run-2-")
    assert stem("hotpotqa", "/other/runs/hotpotqa") != stem("hotpotqa", "/shared/runs/hotpotqa")


def test_a_run_that_is_gone_on_with_counts_as_ray_takes_each_id_once():
    ended = {"fireact-r-1": "FAILED", "fireact-r-1-2": "STOPPED", "fireact-r-1-10": "SUCCEEDED"}
    assert next_id("fireact-r-1", {}, "/runs/r", LOGS) == "fireact-r-1"
    assert next_id("fireact-r-1", {"fireact-r-1": "FAILED"}, "/runs/r", LOGS) == "fireact-r-1-2"
    assert next_id("fireact-r-1", ended, "/runs/r", LOGS) == "fireact-r-1-11"


@pytest.mark.parametrize("status", ["PENDING", "RUNNING"])
def test_a_second_job_in_one_run_folder_is_refused_with_the_name_of_the_first(status):
    known = {"fireact-r-1": "FAILED", "fireact-r-1-2": status}
    message = r"/runs/r: the job fireact-r-1-2 is at work there .* --address http://h:8265 fireact-r-1-2 --follow$"
    with pytest.raises(InputError, match=message):
        next_id("fireact-r-1", known, "/runs/r", LOGS)


def test_jobs_of_other_run_folders_do_not_matter():
    others = {"fireact-r-12": "RUNNING", "fireact-r-1-x": "RUNNING", "raysubmit_1": "RUNNING"}
    assert next_id("fireact-r-1", others, "/runs/r", LOGS) == "fireact-r-1"
