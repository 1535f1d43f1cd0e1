"""Whether a Ray cluster answers at an address: seen in seconds. ray.init alone tries for a quarter of an hour."""

from __future__ import annotations

import os
import re

import grpc
from ray._private.authentication.authentication_token_setup import maybe_enable_token_auth_if_token_available
from ray._private.services import canonicalize_bootstrap_address
from ray._raylet import AuthenticationTokenLoader  # type: ignore[attr-defined]

from fireact_ray.core.errors import InputError

Metadata = tuple[tuple[str, str], ...]

_ANSWER_S = 10.0
_PING = "/ray.rpc.NodeInfoGcsService/CheckAlive"  # any method would do: it is the status that tells
_OTHERWISE = "Start it with `ray start --head`, or leave ray.address and RAY_ADDRESS unset for a local one."
TOKEN = (
    "Set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN to the cluster's token or RAY_AUTH_TOKEN_PATH to the file that "
    "holds it, if that is not ~/.ray/auth_token (`ray get-auth-token` prints it on the head)."
)


def demand_cluster(address: str) -> None:
    """Raises InputError, in 15 s at most, where ray.init cannot join the cluster at `address`."""
    target = endpoint(_resolved(address))
    token = _token()
    if (problem := refusal(*_ping(target, token), has_token=bool(token))) is not None:
        raise unreachable(address, problem)


def unreachable(address: str, why: str) -> InputError:
    if "oken" in why:
        return InputError(f"Ray cluster '{address}': {why}. {TOKEN}")
    return InputError(f"Ray cluster '{address}': cannot be reached ({why}). {_OTHERWISE}")


def endpoint(address: str) -> str:
    """`host:port` of an address as ray.init takes it. Raises InputError for any other."""
    scheme, has_scheme, rest = address.rpartition("://")
    if has_scheme and scheme != "ray":
        raise InputError(
            f"Ray cluster '{address}': an address with {scheme}:// is for `ray job submit`. "
            "RAY_ADDRESS and ray.address take the head's host:port, such as 10.0.0.1:6379."
        )
    host, _, port = rest.rpartition(":")
    if not host or not re.fullmatch(r"\d{1,5}", port) or not 0 < int(port) < 65536:
        raise InputError(
            f"Ray cluster '{address}': that is no address. RAY_ADDRESS and ray.address take host:port, such as "
            "10.0.0.1:6379, or 'auto' for the Ray that runs on this machine, or 'local' for one of its own."
        )
    return rest


def refusal(code: grpc.StatusCode, details: str, *, has_token: bool) -> str | None:
    """What a ping's outcome says against joining the cluster; None where a Ray answered."""
    if code == grpc.StatusCode.UNAUTHENTICATED:
        return (
            "it wants another token than this command sends"
            if has_token
            else "it wants a token, and this command sends none"
        )
    if code == grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"no answer in {_ANSWER_S:g} s"
    if code == grpc.StatusCode.UNAVAILABLE:
        return _in_words(details)
    if "http2 header" in details:  # a proxy or web server that speaks HTTP/2
        return f"what listens there is no Ray: {details}"
    return None  # an answer, whatever it says


def _in_words(details: str) -> str:
    for sign, words in _SIGNS.items():
        if sign in details.lower():
            return words
    return details.rpartition("last error: ")[2] or "no connection"


_SIGNS = {
    "connection refused": "connection refused: nothing listens there",
    "domain name not found": "no such host",
    "address lookup failed": "no such host",
    "http/2": "what listens there is no Ray",
    "settings frame": "what listens there is no Ray",
    "no route to host": "no route to that host",
    "socket closed": "what listens there is no Ray",
    "connection reset": "what listens there is no Ray",
}


def _ping(target: str, token: Metadata) -> tuple[grpc.StatusCode, str]:
    with grpc.insecure_channel(target, options=[("grpc.enable_http_proxy", 0)]) as channel:
        call = channel.unary_unary(_PING, request_serializer=bytes, response_deserializer=bytes)
        try:
            call(b"", timeout=_ANSWER_S, metadata=token)
        except grpc.RpcError as error:
            return error.code(), error.details() or ""
    return grpc.StatusCode.OK, ""


def _resolved(address: str) -> str:
    """'auto' is the Ray that runs on this machine; a token of this machine is then used unasked, as ray.init does."""
    if address != "auto":
        return address
    maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
    try:
        return str(canonicalize_bootstrap_address("auto"))
    except ConnectionError:
        raise unreachable("auto", "no Ray runs on this machine") from None


def _token() -> Metadata:
    """What goes with a call; empty where there is no token here, or RAY_AUTH_MODE does not say that one is used."""
    loader = AuthenticationTokenLoader.instance()
    if os.environ.get("RAY_AUTH_MODE", "").lower() != "token" or not loader.has_token(ignore_auth_mode=True):
        return ()
    return tuple((name.lower(), value) for name, value in loader.get_token_for_http_header().items())
