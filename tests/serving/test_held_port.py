"""The port of a server that is only starting is its own: others are told, and its proxy can bind it."""

import socket

import pytest

from fireact_ray.core.errors import InputError
from fireact_ray.serving.held_port import held_port, url_of


def bound(port: int, *options: int, host: str = "127.0.0.1") -> socket.socket:
    one = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    for option in options:
        one.setsockopt(socket.SOL_SOCKET, option, 1)
    try:
        one.bind((host, port))
        one.listen()
    except OSError:
        one.close()
        raise
    return one


def has(host: str) -> bool:
    try:
        bound(0, host=host).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_a_port_that_is_held_can_be_bound_as_serves_proxy_does_and_not_otherwise(host):
    if not has(host):
        pytest.skip("this machine has no IPv6")
    with held_port(host, 0) as port:
        with pytest.raises(OSError, match="in use"):
            bound(port, host=host)
        with bound(port, socket.SO_REUSEADDR, socket.SO_REUSEPORT, host=host):
            socket.create_connection((host, port)).close()


def refusal(port: int) -> str:
    with pytest.raises(InputError) as raised, held_port("127.0.0.1", port):
        pass
    return str(raised.value)


def test_two_that_start_at_one_port_are_not_both_let():
    with held_port("127.0.0.1", 0) as port:
        assert f"serve.port {port} on 127.0.0.1: cannot be used (Address already in use)" in refusal(port)
    with held_port("127.0.0.1", port) as again:
        assert again == port


def test_a_port_where_somebody_listens_is_refused_also_where_it_could_be_shared():
    with bound(0, socket.SO_REUSEADDR, socket.SO_REUSEPORT) as taken:
        assert "in use" in refusal(taken.getsockname()[1])


def test_a_url_of_either_family_can_be_asked():
    assert url_of("127.0.0.1", 8000) == "http://127.0.0.1:8000"
    assert url_of("::1", 8000) == "http://[::1]:8000"
