"""What our Dockerfile must be; `hadolint` says more where it is at hand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from manifests import unpinned

_SECRET = re.compile(r"\b[A-Z_]*(KEY|TOKEN|SECRET|PASSWORD)\b")


class Step(NamedTuple):
    instruction: str  # in capitals
    value: str  # with continued lines joined, comments left out


def steps(text: str) -> list[Step]:
    """Raises ValueError where a line is no instruction."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    found = []
    for line in joined.splitlines():
        instruction, _, value = line.partition(" ")
        if not instruction.isalpha() or not instruction.isupper():
            raise ValueError(f"no instruction: {line}")
        found.append(Step(instruction, value.strip()))
    return found


def problems(text: str) -> list[str]:
    """One sentence for each rule that is broken."""
    read = steps(text)
    return [*_of_its_bases(read), *_of_its_runs(read), *_of_its_secrets(read)]


def stages(read: list[Step]) -> dict[str, list[Step]]:
    """The steps of each stage, those of the stage that it stands on first."""
    found: dict[str, list[Step]] = {}
    for step in read:
        if step.instruction == "FROM":
            base, _, name = step.value.partition(" AS ")
            found[name] = [*found.get(base, [])]
            current = found[name]
        current.append(step)
    return found


def _of_its_bases(read: list[Step]) -> Iterator[str]:
    named: set[str] = set()
    for step in read:
        if step.instruction == "FROM":
            base, _, name = step.value.partition(" AS ")
            if base not in named and unpinned(base):
                yield f"FROM {base}: give a version"
            named.add(name)
    bases = {step.value.partition(" AS ")[0] for step in read if step.instruction == "FROM"}
    for name, stage in stages(read).items():
        users = [step.value for step in stage if step.instruction == "USER"]
        if name not in bases and (not users or users[-1].partition(":")[0] in ("root", "0")):
            yield f"{name}: its last USER must not be root"
        if name not in bases and users and not users[-1].partition(":")[0].isdigit():
            yield f"{name}: USER must be a number, or Kubernetes cannot tell that it is not root"


def _of_its_runs(read: list[Step]) -> Iterator[str]:
    quiet = any(step.instruction == "ENV" and "PIP_NO_CACHE_DIR=1" in step.value for step in read)
    for step in read:
        if step.instruction == "ADD":
            yield f"ADD {step.value}: use COPY"
        if step.instruction != "RUN":
            continue
        for command in re.split(r"&&|;", step.value):
            if re.search(r"\bpip install\b", command):
                if "--constraint constraints.txt" not in command and "--no-deps" not in command:
                    yield f"'{command.strip()}' must be bound by constraints.txt"
                if not quiet and "--no-cache-dir" not in command:
                    yield f"'{command.strip()}' leaves a cache in the image"
            if "apt-get install" in command and "--no-install-recommends" not in command:
                yield f"'{command.strip()}' takes what is only recommended"
        if "apt-get update" in step.value and "rm -rf /var/lib/apt/lists" not in step.value:
            yield "apt's lists must be removed in the step that fetches them"
        if re.search(r"(curl|wget)\b[^|]*\|\s*(ba)?sh|\bsudo\b", step.value):
            yield f"'{step.value}' runs what it has not looked at, or as root what it need not"


def _of_its_secrets(read: list[Step]) -> Iterator[str]:
    for step in read:
        if step.instruction in ("ENV", "ARG") and (found := _SECRET.search(step.value)):
            yield f"{step.instruction} {found.group()}: a secret would stay in the image"
