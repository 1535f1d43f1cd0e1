"""Why vLLM cannot start, in one line of what it says. stderr is a file here, as that of a Ray worker is."""

import os

import pytest

from fireact_ray.agent.models.engines.vllm_words import n_said, reason

OF_THE_CONFIG = """1 validation error for ModelConfig
  Value error, User-specified max_model_len (4096) is greater than the derived one (2048). [type=value_error, input...]
    For further information visit https://errors.pydantic.dev/2.14/v/value_error"""
POINTS = "Engine core initialization failed. See root cause above. Failed core proc(s): {'EngineCore': 1}"
OF_THE_CORE = """Process EngineCore:
Traceback (most recent call last):
  File "vllm/v1/core/kv_cache_utils.py", line 719, in _check_enough_kv_cache_memory
ValueError: To serve at least one request, 0.02 GiB KV cache is needed.
"""
OF_TWO_PROCESSES = """torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.
Exception: WorkerProc initialization failed due to an exception in a background process. See stack trace for root cause.
"""


@pytest.fixture
def stderr(tmp_path):
    kept, file = os.dup(2), os.open(tmp_path / "worker.err", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(file, 2)
    yield
    os.dup2(kept, 2)
    os.close(kept)
    os.close(file)


@pytest.mark.parametrize(
    ("raised", "said", "told"),
    [
        (OF_THE_CONFIG, OF_THE_CORE, "User-specified max_model_len (4096) is greater than the derived one (2048)."),
        (POINTS, OF_THE_CORE, "To serve at least one request, 0.02 GiB KV cache is needed."),
        (POINTS, OF_TWO_PROCESSES, "CUDA out of memory. Tried to allocate 2.00 GiB."),
        (POINTS, "", POINTS),
        ("\n No room.\nmore", "", "No room."),
        ("", "", "no reason given"),
    ],
)
def test_the_cause_of_a_failed_start_is_one_line_and_that_of_an_earlier_one_is_not_taken(stderr, raised, said, told):
    os.write(2, b"ValueError: of an earlier start\n")
    n_before = n_said()
    os.write(2, said.encode())
    assert reason(RuntimeError(raised), n_before) == told
