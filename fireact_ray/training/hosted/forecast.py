"""What a hosted training will take, before anything is uploaded; and what is known of OpenAI's own service."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from fireact_ray.core.errors import BudgetExhausted, InputError
from fireact_ray.core.utils.text import count_text, usd_text
from fireact_ray.training.hosted.job import JobSettings

CLOSES = date(2027, 1, 6)
_OPENAI = "api.openai.com"
_CLOSING = (
    "OpenAI's own fine-tuning takes no jobs from anybody from 2027-01-06 on, from organisations that never fine-tuned "
    "since 2026-05-07, from inactive ones since 2026-07-02"
)
# gpt-3.5-turbo and gpt-4 with their snapshots; gpt-4o, gpt-4.1 and gpt-4-turbo are other models.
_GONE = re.compile(r"gpt-3\.5-turbo(?:-.+)?|gpt-4(?:-(?:\d{4}|32k)(?:-.+)?)?")


@dataclass(frozen=True, slots=True)
class Estimate:
    """`tokens`: of one pass, None where there is no dataset yet. `trained_tokens`, `cost_usd`: None where unknown."""

    tokens: int | None
    n_epochs: int | None  # None: the provider chooses
    price_per_million: float | None

    @property
    def trained_tokens(self) -> int | None:
        return None if self.tokens is None or self.n_epochs is None else self.tokens * self.n_epochs

    @property
    def cost_usd(self) -> float | None:
        """All tokens of the file are billed in each epoch, not only those that the assistant wrote."""
        if self.trained_tokens is None or self.price_per_million is None:
            return None
        return self.trained_tokens * self.price_per_million / 1e6


def estimate(settings: JobSettings, tokens: int | None, price_per_million: float | None) -> Estimate:
    return Estimate(tokens, None if settings.n_epochs == "auto" else settings.n_epochs, price_per_million)


def demand_affordable(found: Estimate, max_cost_usd: float | None) -> None:
    """Raises BudgetExhausted where the estimate passes the cap."""
    if max_cost_usd is None or found.cost_usd is None or found.cost_usd <= max_cost_usd:
        return
    raise BudgetExhausted(
        f"This training would cost about ${usd_text(found.cost_usd)}: {count_text(found.trained_tokens)} trained "
        f"tokens at ${found.price_per_million:g} per million. student.max_cost_usd is {max_cost_usd:g}, so nothing was "
        "uploaded: raise the cap, set fewer student.n_epochs, or convert fewer rows."
    )


def forecast_text(host: str, settings: JobSettings, found: Estimate, tokenizer: str) -> str:
    """For `fireact plan` and `fireact check`."""
    epochs = "epochs as the provider chooses" if found.n_epochs is None else f"{found.n_epochs} epochs"
    counted = f"{count_text(found.tokens)} in one pass, {count_text(found.trained_tokens)} trained"
    tokens = "unknown until `fireact convert` has run" if found.tokens is None else counted
    if found.price_per_million is None:
        cost = "unknown: set student.price_per_million_tokens"
    elif found.n_epochs is None:
        cost = "unknown: the provider chooses the epochs; set student.n_epochs"
    else:
        cost = f"${usd_text(found.cost_usd)}, at ${found.price_per_million:g} per million trained tokens"
    return (
        f"training: {settings.model} at {host}, {epochs}; no GPU here\n"
        f"tokens, counted by the tokenizer of {tokenizer}: {tokens}\n"
        f"cost, estimated: {cost}"
    )


def is_openai(host: str) -> bool:
    """`host` with or without a port; OpenAI's regions have names before it."""
    return f".{host.partition(':')[0]}".endswith(f".{_OPENAI}")


def closing_notice(host: str) -> str | None:
    """For whoever is about to train at OpenAI itself."""
    if not is_openai(host):
        return None
    return f"{host}: {_CLOSING}. The same recipe runs at any server of this protocol: student.base_url"


def demand_open(host: str, model: str, today: date) -> None:
    """Raises InputError where OpenAI itself would take no job on this model, or no job at all."""
    if not is_openai(host):
        return
    base = model.removeprefix("ft:").partition(":")[0]
    what = f"student.name {model} at {host}"
    elsewhere = "or name another server of this protocol in student.base_url, or train a local student"
    if _GONE.fullmatch(base):
        raise InputError(
            f"{what}: gpt-3.5-turbo and gpt-4 are gone since 2026-10-23, and the service closes to everybody on "
            f"{CLOSES}. Name another base model, {elsewhere}."
        )
    if today >= CLOSES:
        raise InputError(f"{what}: {_CLOSING}. Go on with a model that was trained there, {elsewhere}.")
