"""Lint rules by code. A new one is a function and a `Rule` in its group's module."""

from fireact_ray.curation.rules import leaks, outcome, replies, whole
from fireact_ray.curation.rules.base import Rule

RULES: dict[str, Rule] = {rule.code: rule for group in (outcome, replies, leaks, whole) for rule in group.RULES}
