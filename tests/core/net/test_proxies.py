"""Which proxy a URL goes through: a table."""

import pytest

from fireact_ray.agent.models.openai import OpenAIChat
from fireact_ray.core.errors import InputError
from fireact_ray.core.net.proxies import proxy_for
from fireact_ray.core.secrets import redact

P = "http://proxy:3128"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000/v1",
        "http://127.8.9.10/v1",
        "http://localhost:8000/v1",
        "http://LOCALHOST./v1",
        "http://model.localhost/v1",
        "http://[::1]:8000/v1",
        "http://[::ffff:127.0.0.1]/v1",
        "http://0.0.0.0:8000/v1",
        "https://127.0.0.1/v1",
    ],
)
def test_this_machine_is_never_reached_through_a_proxy(url):
    assert proxy_for({"http_proxy": P, "https_proxy": P, "ALL_PROXY": P}, url) is None


@pytest.mark.parametrize(
    ("environ", "url", "proxy"),
    [
        ({}, "http://a.example/v1", None),
        ({"http_proxy": P}, "http://a.example/v1", P),
        ({"HTTP_PROXY": P}, "http://a.example/v1", P),
        ({"http_proxy": P}, "https://a.example/v1", None),
        ({"https_proxy": P}, "https://a.example/v1", P),
        ({"HTTPS_PROXY": P, "https_proxy": "http://other:1"}, "https://a.example/v1", "http://other:1"),
        ({"HTTPS_PROXY": P, "https_proxy": ""}, "https://a.example/v1", None),
        ({"ALL_PROXY": P}, "https://a.example/v1", P),
        ({"all_proxy": P, "https_proxy": "http://other:1"}, "https://a.example/v1", "http://other:1"),
        ({"http_proxy": "proxy:3128"}, "http://a.example/v1", P),
        ({"http_proxy": "  proxy:3128 "}, "http://a.example/v1", P),
        ({"http_proxy": "10.0.0.1:3128"}, "http://a.example/v1", "http://10.0.0.1:3128"),
        ({"http_proxy": "me:word@proxy:3128"}, "http://a.example/v1", "http://me:word@proxy:3128"),
        ({"http_proxy": "HTTP://proxy:3128"}, "http://a.example/v1", P),
        ({"https_proxy": "https://proxy:3128"}, "https://a.example/v1", "https://proxy:3128"),
    ],
)
def test_the_variables_of_the_environment_name_it(environ, url, proxy):
    assert proxy_for(environ, url) == proxy


@pytest.mark.parametrize(
    ("no_proxy", "url", "is_direct"),
    [
        ("*", "http://a.example/v1", True),
        ("a.example", "http://a.example/v1", True),
        ("A.Example", "http://a.example/v1", True),
        ("example", "http://a.example/v1", True),
        (".example", "http://a.example/v1", True),
        (".a.example", "http://a.example/v1", True),
        ("*.example", "http://a.example/v1", True),
        ("b.example, a.example", "http://a.example/v1", True),
        ("b.example a.example", "http://a.example/v1", True),
        ("ple", "http://a.example/v1", False),
        ("b.a.example", "http://a.example/v1", False),
        ("", "http://a.example/v1", False),
        (", ,", "http://a.example/v1", False),
        (".", "http://a.example/v1", False),
        ("a.example:8000", "http://a.example:8000/v1", True),
        ("a.example:8000", "http://a.example/v1", False),
        ("a.example:80", "http://a.example/v1", True),
        ("10.0.0.0/8", "http://10.1.2.3:8000/v1", True),
        ("10.0.0.0/8", "http://11.1.2.3:8000/v1", False),
        ("10.0.0.1/8", "http://10.1.2.3:8000/v1", True),
        ("10.1.2.3", "http://10.1.2.3:8000/v1", True),
        ("10.1.2.3:8000", "http://10.1.2.3:8000/v1", True),
        ("10.1.2.3:8000", "http://10.1.2.3:8001/v1", False),
        ("10.1.2", "http://10.1.2.3/v1", False),
        ("10.0.0.0/8", "http://ten.example/v1", False),
        ("fd00::/8", "http://[fd00::7]:8000/v1", True),
        ("fd00::7", "http://[fd00::7]:8000/v1", True),
        ("[fd00::7]", "http://[fd00::7]:8000/v1", True),
        ("[fd00::7]:8000", "http://[fd00::7]:8000/v1", True),
        ("[fd00::7]:8001", "http://[fd00::7]:8000/v1", False),
        ("10.0.0.0/99, fd00::/8", "http://[fe00::7]/v1", False),
    ],
)
@pytest.mark.parametrize("variable", ["no_proxy", "NO_PROXY"])
def test_no_proxy_names_hosts_networks_and_ports(variable, no_proxy, url, is_direct):
    assert proxy_for({"http_proxy": P, variable: no_proxy}, url) == (None if is_direct else P)


@pytest.mark.parametrize("kind", ["socks5h", "socks5", "socks4", "ftp"])
def test_a_proxy_of_another_kind_is_refused_by_the_name_of_its_variable(kind, monkeypatch):
    with pytest.raises(InputError, match=rf"^The environment variable ALL_PROXY names a proxy of the kind {kind}://"):
        proxy_for({"ALL_PROXY": f"{kind}://me:word@proxy:1080"}, "https://a.example/v1")
    monkeypatch.setenv("https_proxy", f"{kind}://proxy:1080")
    with pytest.raises(InputError, match="https_proxy"):
        OpenAIChat("m", base_url="https://a.example/v1", api_key="k")
    OpenAIChat("m", base_url="https://localhost/v1", api_key="k")


@pytest.mark.parametrize("value", ["http://", "http://proxy:port", "http://[::1", "http://me:sesame-open@:3128", ":"])
def test_a_value_that_names_no_proxy_is_refused_unrepeated(value):
    with pytest.raises(InputError, match="http_proxy names no proxy that can be asked") as caught:
        proxy_for({"http_proxy": value}, "http://a.example/v1")
    assert "sesame" not in str(caught.value)


def test_a_proxys_password_is_a_secret_from_then_on():
    proxy_for({"http_proxy": "http://me:sesame-in-a-proxy@proxy:3128"}, "http://a.example/v1")
    assert redact("it was sesame-in-a-proxy") == "it was [redacted]"
