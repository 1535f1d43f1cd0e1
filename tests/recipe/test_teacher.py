"""The scripted teacher of a recipe is there where the workers of its cluster reach it."""

import socket
import urllib.request

import pytest
from loopback import NO_HOST

from fireact_ray.recipe.loader import load_recipe
from fireact_ray.recipe.teacher import reachable_host, running_teacher


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.fixture
def outside():
    """The address of this machine for others."""
    address = reachable_host("192.0.2.77:6379")
    if address.startswith("127."):
        pytest.skip("this machine has loopback only")
    return address


@pytest.mark.parametrize(
    "cluster",
    [
        None,
        "",
        "local",
        "127.0.0.1:6379",
        "localhost:6379",
        "ray://127.0.0.1:10001",
        f"{NO_HOST}:1",
        "x" * 70,
    ],
)
def test_where_the_cluster_is_this_machine_the_teacher_is_on_loopback(cluster):
    assert reachable_host(cluster) == "127.0.0.1"


def test_ipv6_loopback_stays_ipv6():
    assert reachable_host("[::1]:6379") in ("::1", "127.0.0.1")  # the latter where there is no IPv6


def test_for_a_cluster_elsewhere_it_is_where_that_reaches_this_machine(outside):
    assert reachable_host("ray://192.0.2.77:10001") == reachable_host("auto") == outside
    assert reachable_host(f"{outside}:6379") == outside


@pytest.mark.parametrize("by", ["recipe", "variable"])
def test_the_teacher_answers_there(by, outside, monkeypatch):
    if by == "variable":
        monkeypatch.setenv("RAY_ADDRESS", f"{outside}:6379")
    recipe = load_recipe("demo", [f"ray.address='{outside}:6379'"] if by == "recipe" else [])
    with running_teacher(recipe) as reachable:
        base_url = reachable.teacher.model.base_url
        assert base_url.startswith(f"http://{outside}:")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        assert opener.open(f"{base_url}/models", timeout=10).status == 200
    with pytest.raises(OSError), socket.create_connection((outside, int(base_url.split(":")[2].split("/")[0])), 5):
        pass


def test_without_a_cluster_it_answers_on_loopback():
    with running_teacher(load_recipe("demo")) as reachable:
        assert reachable.teacher.model.base_url.startswith("http://127.0.0.1:")
