"""The port of a server that is only starting: held, so that it is still its own when Serve's proxy binds it.

That is half a minute later. The proxy takes an address that is bound and does not listen, and shares one that does
(SO_REUSEPORT): of two servers at one port, each would have some of the requests, without a word. So what listens is
found here; and another command that has not come so far, by a name that only one process at a time can have.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from fireact_ray.core.errors import InputError


@contextmanager
def held_port(host: str, port: int) -> Iterator[int]:
    """`port`, or a free one for 0; from here on nobody else's but the proxy's. Raises InputError when it is in use."""
    with socket.socket(_family(host)) as held, socket.socket(socket.AF_UNIX) as name:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind((host, port))
            number = int(held.getsockname()[1])
            name.bind(f"\0fireact-serve-{number}")
        except OSError as error:
            raise InputError(
                f"serve.port {port} on {host}: cannot be used ({error.strerror}). "
                "Stop what listens there, or set another one: --set serve.port=8001 (0 takes any free one)."
            ) from None
        yield number


def url_of(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if _family(host) == socket.AF_INET6 else f"http://{host}:{port}"


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
