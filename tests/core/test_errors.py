"""Errors cross process borders: whatever an error holds is still there on the other side."""

import copy
import pickle

import pytest
from fakes import ScriptedModel

from fireact_ray.agent.models.base import Sampling
from fireact_ray.agent.models.retry import Retrying, RetryPolicy
from fireact_ray.core import errors
from fireact_ray.core.errors import FireActError, MalformedReply, ModelError, RateLimited

CLASSES = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, FireActError)]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_is_built_from_its_message_and_pickles(kind):
    error = pickle.loads(pickle.dumps(kind("what was found")))  # noqa: S301
    assert (type(error), str(error)) == (kind, "what was found")


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if issubclass(kind, ModelError)], ids=lambda k: k.__name__)
def test_a_signature_survives_pickling_copying_and_another_message(kind):
    error = kind("m: HTTP 400 x (request 17)", cause="400 x")
    assert error.signature == f"{kind.__name__} 400 x"
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), error.reworded("other")):  # noqa: S301
        assert (type(again), again.signature) == (kind, f"{kind.__name__} 400 x")
    assert str(error.reworded("other")) == "other"
    assert kind("m").signature == kind.__name__


def test_what_a_rate_limit_asks_for_survives_too():
    error = pickle.loads(pickle.dumps(RateLimited("m", 7.0, cause="429")))  # noqa: S301
    assert (error.retry_after_s, error.reworded("n").retry_after_s, error.signature) == (7.0, 7.0, "RateLimited 429")


async def test_the_last_attempt_keeps_the_signature_of_its_failure():
    model = ScriptedModel(*(MalformedReply(f"m: reply {n}", cause="no JSON object") for n in range(2)))
    with pytest.raises(MalformedReply, match=r"^m: reply 1 \(after 2 attempts\)$") as caught:
        await Retrying(model, RetryPolicy(max_attempts=2, first_delay_s=0.0)).complete((), Sampling())
    assert caught.value.signature == "MalformedReply no JSON object"
