"""What Ray needs, looked at before it is started or joined: each lack is a sentence that names the variable to set."""

import signal
import socket
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import grpc
import pytest
import ray
from loopback import NO_HOST

from fireact_ray.core.errors import InputError
from fireact_ray.stages import ray_session
from fireact_ray.stages.connecting import demand_cluster, endpoint, refusal, unreachable
from fireact_ray.stages.starting import demand_room, explained

pytestmark = pytest.mark.ray  # which these import


@pytest.fixture
def env(tmp_path_factory, monkeypatch):
    """Of a machine on which Ray can start."""
    monkeypatch.setenv("FIREACT_TEST", "1")
    return {"RAY_TMPDIR": "/tmp", "HOME": str(tmp_path_factory.mktemp("home"))}


def test_nothing_is_said_where_ray_can_start(env):
    demand_room(env)


BAD = {
    "a folder too long for a socket": (
        {"RAY_TMPDIR": f"/tmp/{'x' * 60}"},
        r"^RAY_TMPDIR=.* bytes too long: .* /tmp\.$",
    ),
    "bytes count, not characters": ({"RAY_TMPDIR": f"/tmp/{'ü' * 30}"}, r"^RAY_TMPDIR=.* bytes too long"),
    "the folder of all programs": ({"TMPDIR": f"/tmp/{'x' * 60}"}, r"^TMPDIR=.* Set RAY_TMPDIR to a shorter folder"),
    "a folder that cannot be made": ({"RAY_TMPDIR": "/proc/none"}, r"^RAY_TMPDIR=/proc/none cannot be written \(.*\)"),
    "a relative folder": ({"RAY_TMPDIR": "./r"}, r"^RAY_TMPDIR=\./r is a relative path\. .* /tmp\.$"),
    "a file": ({"RAY_TMPDIR": "/etc/hostname"}, r"^RAY_TMPDIR=/etc/hostname cannot be written \(.*\)"),
    "a home that cannot be written": (
        {"HOME": "/proc/nohome"},
        r"^Ray cannot write its token to /proc/nohome/\.ray/auth_token .* HOME .*RAY_AUTH_TOKEN_PATH .*RAY_AUTH_MODE",
    ),
    "a token that is not there": (
        {"RAY_AUTH_TOKEN_PATH": "/tmp/no/token"},
        r"^RAY_AUTH_TOKEN_PATH=/tmp/no/token: no such file",
    ),
}


@pytest.mark.parametrize("lack", BAD)
def test_a_lack_is_a_sentence_that_names_the_variable(lack, env):
    changed, message = BAD[lack]
    if "TMPDIR" in changed:
        del env["RAY_TMPDIR"]
    with pytest.raises(InputError, match=message) as raised:
        demand_room(env | changed)
    assert "\n" not in str(raised.value)


class Starts:
    """In the place of ray.init: raises these, one a call; each leaves a process behind."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.left: list[subprocess.Popen] = []

    def __call__(self, **options):
        self.left.append(subprocess.Popen(["sleep", "600"]))
        if self.errors:
            raise self.errors.pop(0)


LATE = Exception("The current node timed out during startup. This could happen because some of the raylet failed to")


def test_a_ray_that_was_late_is_started_again_and_what_it_left_is_ended(monkeypatch, caplog):
    starts = Starts(LATE, LATE)
    monkeypatch.setattr(ray, "init", starts)
    ray_session._init("local", None)
    assert [process.wait(10) for process in starts.left[:2]] == [-signal.SIGKILL] * 2
    assert starts.left[2].poll() is None
    starts.left[2].kill()
    assert [record.message for record in caplog.records] == [
        "Ray did not start in its time: this machine is busy. Start 2 of 3",
        "Ray did not start in its time: this machine is busy. Start 3 of 3",
    ]


@pytest.mark.parametrize(("errors", "n_starts"), [([LATE] * 3, 3), ([OSError("no room")], 1)])
def test_a_ray_that_does_not_start_is_one_sentence(errors, n_starts, monkeypatch):
    starts = Starts(*errors)
    monkeypatch.setattr(ray, "init", starts)
    with pytest.raises(InputError, match="Ray did not start"):
        ray_session._init("local", None)
    assert [process.wait(10) for process in starts.left] == [-signal.SIGKILL] * n_starts


@pytest.mark.parametrize("other", [{"RAY_AUTH_TOKEN": "0" * 32}, {"RAY_AUTH_MODE": "disabled"}])
def test_a_home_is_not_needed_where_the_token_is_elsewhere(other, env):
    demand_room(env | {"HOME": "/proc/nohome"} | other)


def test_a_token_file_stands_in_for_the_home(env, tmp_path):
    (tmp_path / "token").write_text("0" * 32)
    demand_room(env | {"HOME": "/proc/nohome", "RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")})


FAILED = {
    Exception("The current node timed out during startup."): "in its time .* RAY_gcs_server_port_wait_time_s",
    RuntimeError("Timed out waiting for file /tmp/ray/gcs_port"): "in its time",
    ValueError("The configured object store size (20.0 GB) exceeds /dev/shm size (0.06 GB)."): (
        "RAY_OBJECT_STORE_ALLOW_SLOW_STORAGE=1"
    ),
    OSError(28, "No space left on device", "/tmp/ray/session_x"): "/tmp/ray/session_x: No space left .*RAY_TMPDIR",
    RuntimeError("something\nnew"): r"^Ray did not start on this machine: RuntimeError: something new$",
}


@pytest.mark.parametrize("error", FAILED, ids=repr)
def test_a_failed_start_is_explained_in_one_line(error, monkeypatch):
    monkeypatch.setenv("RAY_TMPDIR", "/tmp")
    found = explained(error)
    assert found.exit_code == 2
    with pytest.raises(InputError, match=FAILED[error]):
        raise found


@pytest.mark.parametrize(
    ("address", "target"),
    [
        ("127.0.0.1:6379", "127.0.0.1:6379"),
        ("head.example:6379", "head.example:6379"),
        ("ray://head:10001", "head:10001"),
        ("[::1]:6379", "[::1]:6379"),
    ],
)
def test_an_address_as_ray_takes_it(address, target):
    assert endpoint(address) == target


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://127.0.0.1:8265", "for `ray job submit`"),
        ("https://head", "for `ray job submit`"),
        ("head", "take host:port"),
        ("head:", "take host:port"),
        (":6379", "take host:port"),
        ("head:ray", "take host:port"),
        ("head:70000", "take host:port"),
        ("head:0", "take host:port"),
    ],
)
def test_another_address_is_refused_in_a_sentence(address, message):
    with pytest.raises(InputError, match=message):
        endpoint(address)


@pytest.fixture
def listener():
    """Accepts, and says nothing that Ray would say."""

    class Page(BaseHTTPRequestHandler):
        def log_message(self, *_): ...

    server = HTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_port_where_nobody_listens_is_named():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = "{}:{}".format(*probe.getsockname())
        with pytest.raises(InputError, match=rf"^Ray cluster '{address}': cannot be reached \(connection refused"):
            demand_cluster(address)


def test_a_port_where_something_else_listens_is_named(listener):
    with pytest.raises(InputError, match=r"cannot be reached \(what listens there is no Ray\)"):
        demand_cluster(listener)


def test_a_host_of_no_such_name_is_named():
    with pytest.raises(InputError, match=r"cannot be reached \(no such host\)"):
        demand_cluster(f"{NO_HOST}:6379")


CODE = grpc.StatusCode


@pytest.mark.parametrize(
    ("code", "details", "has_token", "said"),
    [
        (CODE.OK, "", False, None),
        (CODE.UNIMPLEMENTED, "", False, None),  # a Ray whose GCS has no such method
        (CODE.UNAUTHENTICATED, "Unauthorized", True, "it wants another token than this command sends"),
        (CODE.UNAUTHENTICATED, "Unauthorized", False, "it wants a token, and this command sends none"),
        (CODE.DEADLINE_EXCEEDED, "", False, "no answer in 10 s"),
        (CODE.UNIMPLEMENTED, "Received http2 header with status: 404", False, "what listens there is no Ray: "),
        (CODE.UNAVAILABLE, "failed; last error: UNKNOWN: strange", False, "UNKNOWN: strange"),
    ],
)
def test_what_a_ping_says(code, details, has_token, said):
    found = refusal(code, details, has_token=has_token)
    assert found == said or (said and found.startswith(said))


def test_a_wanted_token_names_its_variables():
    assert "RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN " in str(unreachable("h:1", "it wants a token"))
    assert "RAY_AUTH_TOKEN_PATH" in str(unreachable("h:1", "Token authentication is enabled but no token was found"))
