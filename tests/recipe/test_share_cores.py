"""How many cores torch takes in an engine replica. In fresh interpreters: it is settled when torch is loaded."""

import os
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.torch, pytest.mark.slow]

N_CORES = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("given", "n_beside", "threads"),
    [
        ("1", 1, N_CORES),  # what Ray gives to a process that reserves less than two CPUs
        (None, 2 * N_CORES, 1),
        ("2", 2, min(2, N_CORES)),
    ],
)
def test_torch_takes_an_nth_of_the_cores_and_a_number_of_threads_that_the_node_s_environment_names(
    given, n_beside, threads
):
    code = f"from fireact_ray.recipe.student import share_cores; share_cores({n_beside}); import torch; "
    env = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    env |= {} if given is None else {"OMP_NUM_THREADS": given}
    done = subprocess.run(
        [sys.executable, "-c", f"{code}print(torch.get_num_threads())"], env=env, capture_output=True, text=True
    )
    assert done.stdout == f"{threads}\n", done.stderr
