"""The API by its own schema: whatever is sent, no reply is a fault of ours. Skipped without schemathesis."""

import pytest
from fakes import TEXTS, DictBackend
from hypothesis import HealthCheck, settings
from served import ASKED, MODEL, EndlessModel, by
from served import settings as serving

from fireact_ray.serving.app import build_app

schemathesis = pytest.importorskip("schemathesis")

APP = build_app({MODEL: by(EndlessModel())}, serving(allowed_hosts=("*",), faults=True), search=DictBackend(TEXTS))
SCHEMA = schemathesis.openapi.from_asgi("/openapi.json", APP)

pytestmark = pytest.mark.slow


@SCHEMA.parametrize()
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_request_is_answered_by_a_fault(case):
    if isinstance(case.body, dict) and "model" in case.body:
        case.body["model"] = MODEL  # else every request ends at the first look
    if isinstance(case.body, dict) and isinstance(case.body.get("messages"), list):
        case.body["messages"].append({"role": "user", "content": ASKED})
    reply = case.call()
    assert reply.status_code < 500, (case.body, reply.text)
    documented = case.operation.responses.status_codes
    assert str(reply.status_code) in documented or f"{reply.status_code // 100}XX" in documented
    if reply.status_code >= 400:
        assert set(reply.json()["error"]) == {"message", "type", "param", "code"}
