"""What Serve's proxies are told of questions that do not go by Serve."""

import httpx
import pytest
from ray.serve._private.http_util import RequestIdMiddleware
from ray.serve._private.proxy import HTTPProxy
from ray.util.metrics import Counter

from fireact_ray.stages.proxies import counted_by, edge

pytestmark = pytest.mark.ray  # which this imports


def test_a_proxy_of_this_ray_counts_a_question_for_as_long_as_it_goes_directly():
    proxy = HTTPProxy.__new__(HTTPProxy)
    proxy._ongoing_requests, proxy._should_emit_request_ingress_metrics = 0, lambda: False
    counted = counted_by(RequestIdMiddleware(proxy))
    with counted(), counted():
        assert proxy._ongoing_requests == 2
    assert proxy._ongoing_requests == 0


def test_a_proxy_that_cannot_count_is_said(caplog):
    with counted_by(RequestIdMiddleware(object()))():
        assert "does not wait for them" in caplog.text


async def test_what_a_proxy_refuses_is_among_the_requests_that_are_counted(monkeypatch):
    counted = []
    monkeypatch.setattr(Counter, "inc", lambda self, n, tags: counted.append((self.info["name"], n, tags)))
    (middleware,) = edge()
    transport = httpx.ASGITransport(middleware.cls(RequestIdMiddleware(object())))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        assert (await http.get("/-/routes")).status_code == 404
    assert counted == [("fireact_requests_total", 1, {"route": "(proxy)", "status": "404"})]
