"""What a model's tokens cost, from a dated file: `prices.yaml` of this package, or the recipe's own.

    as_of: 2026-04-01
    hosts:
      api.openai.com:
        gpt-4.1: {prompt: 2.00, completion: 8.00}     # $ per million tokens
      "*":                                            # any other host
        my-model: {prompt: 0.10, completion: 0.10}

Prices belong to a host, because another provider sells a model of the same name at another price. A model without an
entry has no known price: its cost is None, never 0.
"""

from __future__ import annotations

import re
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, NonNegativeFloat, ValidationError

from fireact_ray.agent.quota.budget import Price
from fireact_ray.core.errors import InputError
from fireact_ray.core.settings import Section
from fireact_ray.core.utils.problems import problems_of

_SNAPSHOT = re.compile(r"-\d{4}-?\d{2}-?\d{2}$")  # gpt-4.1-2025-04-14 costs what gpt-4.1 costs


class _Entry(Section):
    prompt: NonNegativeFloat
    completion: NonNegativeFloat


class PriceList(Section):
    """A price file."""

    as_of: date
    hosts: Annotated[dict[str, dict[str, _Entry]], Field(min_length=1)]

    def find(self, host: str, model: str) -> Price | None:
        """None where the list has no price of this model at this host."""
        for name in (model, _SNAPSHOT.sub("", model)):
            for entries in (self.hosts.get(host, {}), self.hosts.get("*", {})):
                if name in entries:
                    return Price(entries[name].prompt, entries[name].completion)
        return None


def read_prices(path: str | None = None) -> PriceList:
    """The user's price file, or the one that ships with the package. Raises InputError for an unusable file."""
    file = resources.files("fireact_ray.agent.quota") / "prices.yaml" if path is None else Path(path).expanduser()
    try:
        return PriceList.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(
            f"Price file {path}: cannot be read ({error}). Give a YAML file in teacher.quota.prices."
        ) from None
    except ValidationError as error:
        problems = " ".join(problems_of(error, PriceList, "all of it"))
        shape = "fireact_ray/agent/quota/prices.py"
        raise InputError(f"Price file {path}: {problems} See {shape} for its shape.") from None
