"""The environment of `make test-vllm` has what the package needs: it is not installed there, so nothing else looks."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
ELSEWHERE = {"transformers"}  # by the Makefile, after vLLM, which pins an older one
NOT_SERVED = {"deepspeed"}  # trains over several processes


def names(lines: list[str]) -> set[str]:
    return {re.match(r"[\w.-]+", line).group().lower() for line in lines if line and not line.startswith("#")}


def test_the_list_for_vllm_names_each_dependency_of_the_package_that_serving_needs():
    needed = names(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"])
    listed = names((ROOT / "constraints-vllm.txt").read_text().splitlines())
    assert needed - listed == ELSEWHERE | NOT_SERVED
