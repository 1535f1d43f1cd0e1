"""Which proxy a URL goes through, read from the environment's variables: a pure function of both.

`http_proxy`, `https_proxy` and `all_proxy` name proxies, `no_proxy` what goes without; each also in capitals, the
spelling in small letters first. This machine itself is never reached through a proxy.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, unquote, urlsplit

from fireact_ray.core.errors import InputError
from fireact_ray.core.secrets import remember

_PORTS = {"http": 80, "https": 443}
_LOCAL_NAMES = ("localhost", "localhost.localdomain", "ip6-localhost")


def proxy_for(environ: Mapping[str, str], url: str) -> str | None:
    """The proxy's URL, or None. Raises InputError naming the variable of a proxy that cannot be used.

    `no_proxy` holds, separated by commas or spaces: a name (which is also that of all hosts below it, with or without a
    leading dot or `*.`), an address, a network such as 10.0.0.0/8, each with `:port` where only that is meant; or `*`.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".").lower()
    port = parts.port or _PORTS.get(parts.scheme, 0)
    variable, proxy = _named(environ, f"{parts.scheme}_proxy", "all_proxy")
    if not proxy or _is_local(host):
        return None
    _, exceptions = _named(environ, "no_proxy")
    if any(_matches(entry, host, port) for entry in exceptions.replace(",", " ").split()):
        return None
    return _usable(proxy, variable)


def _named(environ: Mapping[str, str], *names: str) -> tuple[str, str]:
    """The first variable that is set, also to nothing, and its value."""
    spellings = (spelling for name in names for spelling in (name, name.upper()))
    variable = next((spelling for spelling in spellings if spelling in environ), "")
    return variable, environ.get(variable, "").strip()


def _is_local(host: str) -> bool:
    if host in _LOCAL_NAMES or host.endswith(".localhost"):
        return True
    address = _address(host)
    return address is not None and (address.is_loopback or address.is_unspecified)


def _matches(entry: str, host: str, port: int) -> bool:
    """Whether a `no_proxy` entry means this host."""
    if entry == "*":
        return True
    name, entry_port = _split_port(entry.lower())
    if entry_port is not None and entry_port != port:
        return False
    if (address := _address(host)) is not None:
        return _holds(name, address)
    name = name.removeprefix("*").strip(".")
    return bool(name) and f".{host}".endswith(f".{name}")


def _split_port(entry: str) -> tuple[str, int | None]:
    """Of `name:80`, `10.0.0.1:80`, `[::1]:80`; an IPv6 address without brackets holds colons of its own."""
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        port = rest.removeprefix(":")
    elif entry.count(":") == 1:
        name, _, port = entry.partition(":")
    else:
        return entry, None
    return name, int(port) if port.isascii() and port.isdigit() else None


def _holds(name: str, address: IPv4Address | IPv6Address) -> bool:
    try:
        network = ip_network(name, strict=False)
    except ValueError:
        return False
    return address.version == network.version and address in network


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _usable(proxy: str, variable: str) -> str:
    """With its scheme, which many leave out. Nothing of a value that may hold a password is repeated."""
    parts = _parsed(proxy if "://" in proxy else f"http://{proxy}", variable)
    if parts.password:
        remember(unquote(parts.password))
    if parts.scheme not in ("http", "https"):
        raise InputError(
            f"The environment variable {variable} names a proxy of the kind {parts.scheme}://, which cannot be used; "
            f"http:// and https:// can. Set {variable} to such a proxy, or to nothing, or name the host in no_proxy."
        )
    return parts.geturl()


def _parsed(proxy: str, variable: str) -> SplitResult:
    try:
        parts = urlsplit(proxy)
        if parts.hostname and (parts.port is None or parts.port):
            return parts
    except ValueError:  # a port that is no number, brackets that are not closed
        pass
    raise InputError(
        f"The environment variable {variable} names no proxy that can be asked. Set it to one, such as "
        "http://proxy:3128, or to nothing, or name the host in no_proxy."
    )
