"""Lint rules by code. A new one is a function and a `Rule` in its group's module."""

from fireact_ray.data.lint import leaks, outcome, replies, whole_file
from fireact_ray.data.lint.base import Rule

RULES: dict[str, Rule] = {rule.code: rule for group in (outcome, replies, leaks, whole_file) for rule in group.RULES}
