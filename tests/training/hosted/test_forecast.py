"""What a hosted training will cost, and which ones OpenAI itself no longer takes."""

from datetime import date

import pytest

from fireact_ray.core.errors import BudgetExhausted, InputError
from fireact_ray.training.hosted.forecast import (
    closing_notice,
    demand_affordable,
    demand_open,
    estimate,
    forecast_text,
    is_openai,
)
from fireact_ray.training.hosted.job import JobSettings

BEFORE, FROM_THEN_ON = date(2027, 1, 5), date(2027, 1, 6)
THREE, AUTO = JobSettings("small", n_epochs=3), JobSettings("small", n_epochs="auto")


def test_every_token_of_the_file_is_paid_for_in_every_epoch():
    found = estimate(THREE, 200_000, 25.0)
    assert (found.trained_tokens, found.cost_usd) == (600_000, 15.0)
    assert forecast_text("h", THREE, found, "nano").splitlines() == [
        "training: small at h, 3 epochs; no GPU here",
        "tokens, counted by the tokenizer of nano: 200,000 in one pass, 600,000 trained",
        "cost, estimated: $15.00, at $25 per million trained tokens",
    ]


@pytest.mark.parametrize(
    ("settings", "tokens", "price", "said"),
    [
        (THREE, None, 25.0, "unknown until `fireact convert` has run"),
        (THREE, 9, None, "cost, estimated: unknown: set student.price_per_million_tokens"),
        (AUTO, 9, 25.0, "cost, estimated: unknown: the provider chooses the epochs; set student.n_epochs"),
    ],
)
def test_what_is_unknown_is_said_with_what_would_tell(settings, tokens, price, said):
    assert said in forecast_text("h", settings, estimate(settings, tokens, price), "nano")


def test_a_training_above_the_cap_is_refused_with_both_numbers():
    found = estimate(THREE, 200_000, 25.0)
    demand_affordable(found, 15.0)
    demand_affordable(found, None)
    with pytest.raises(BudgetExhausted, match=r"about \$15\.00: 600,000 trained tokens .*max_cost_usd is 14\.99"):
        demand_affordable(found, 14.99)


@pytest.mark.parametrize(
    "model",
    ["gpt-3.5-turbo", "gpt-3.5-turbo-0125", "gpt-4", "gpt-4-0613", "gpt-4-32k-0613", "ft:gpt-3.5-turbo-0125:org::x"],
)
def test_models_that_are_gone_are_refused_at_openai_and_nowhere_else(model):
    with pytest.raises(InputError, match=r"gone since 2026-10-23, and the service closes to everybody on 2027-01-06"):
        demand_open("api.openai.com", model, BEFORE)
    demand_open("127.0.0.1:8000", model, BEFORE)


@pytest.mark.parametrize("model", ["gpt-4.1-mini-2025-04-14", "gpt-4o-mini", "gpt-4-turbo", "gpt-40"])
def test_other_models_are_taken_until_the_service_closes(model):
    demand_open("api.openai.com:443", model, BEFORE)
    with pytest.raises(InputError, match="takes no jobs from anybody from 2027-01-06 on"):
        demand_open("api.openai.com", model, FROM_THEN_ON)
    demand_open("elsewhere.example", model, FROM_THEN_ON)


def test_who_trains_at_openai_is_told_that_it_closes():
    assert "from 2027-01-06 on" in closing_notice("eu.api.openai.com")
    assert closing_notice("127.0.0.1:80") is None
    assert [is_openai(host) for host in ("api.openai.com.evil.example", "notapi.openai.com", "api.openai.com")] == [
        False,
        False,
        True,
    ]
